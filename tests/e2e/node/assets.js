// A client of an external import source, as Atlassian's guide has it: it knows a token and where to begin, and follows links.
// node assets.js <base URL> <container token> <file with the schema and mapping> <file with an array of data>

const fs = require("fs");

async function main([base, token, mappingFile, dataFile]) {
  const headers = { Authorization: `Bearer ${token}`, Accept: "application/json", "Content-Type": "application/json" };
  const call = async (method, url, body) => {
    const response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    if (!response.ok) {
      throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
    }
    const text = await response.text();
    return text === "" ? undefined : JSON.parse(text);
  };

  const { links } = await call("GET", `${base}/jsm/assets/v1/imports/info`);
  const { status } = await call("GET", links.getStatus);
  if (status === "MISSING_MAPPING") {
    await call("PUT", links.mapping, JSON.parse(fs.readFileSync(mappingFile, "utf8")));
  }
  const started = await call("POST", links.start);
  const pieces = JSON.parse(fs.readFileSync(dataFile, "utf8"));
  for (const [number, data] of pieces.entries()) {
    await call("POST", started.links.submitResults, { data, clientGeneratedId: `batch-${number}` });
    await call("PUT", started.links.submitProgress, {
      steps: { total: pieces.length, current: number + 1, description: `Sent batch ${number}` },
      objects: { total: pieces.length, processed: number + 1 },
    });
  }
  await call("POST", started.links.submitResults, { completed: true });

  for (;;) {
    const execution = await call("GET", started.links.getExecutionStatus);
    if (execution.status === "DONE" || execution.status === "CANCELLED") {
      console.log(JSON.stringify(execution));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
