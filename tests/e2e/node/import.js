// A client of the published page "Importing File Through API": `uploadFile` is its own, word for word.
// node import.js <base URL> <API key> <workspace> <bucket> <file>

const fs = require("fs");
const axios = require("axios");

async function uploadFile(signedUrl, filePath) {
  try {
    const fileStream = fs.createReadStream(filePath);
    const response = await axios.put(signedUrl, fileStream, {
      headers: {
        "Content-Type": "application/octet-stream",
      },
    });

    console.log("File uploaded successfully:", response.status);
  } catch (error) {
    console.error("Failed to upload file:", error);
  }
}

async function main([url, key, workspace, bucket, filePath]) {
  const api = axios.create({ baseURL: url, headers: { "x-api-key": key } });

  const slot = await api.post("/appfile/file/path", {
    WorkspaceId: workspace,
    BucketId: bucket,
    EntityType: "wks_family",
    FileName: "example-file-name.txt",
    Folder: "example-folder",
    Category: "example-category",
    Tags: ["tag1", "tag2", "tag3"],
    Metadata: { key1: "value1", key2: "value2" },
    ActionId: "Track Id",
    Description: "Track description",
  });
  const { ActionId, FileId, FilePath, Url } = slot.data.Data;

  await uploadFile(Url, filePath);

  await api.post("/appfile/file/import", {
    ActionId,
    Description: "Track description",
    FileType: "cc5",
    FileId,
    FilePath,
  });

  for (;;) {
    const { data } = await api.get(`/appfile/file/${FileId}`);
    const file = data.Data.File;
    if (file.PortalStatus !== "pending") {
      console.log(JSON.stringify(file));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.response ? JSON.stringify(error.response.data) : error);
  process.exit(1);
});
