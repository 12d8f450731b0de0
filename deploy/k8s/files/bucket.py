"""Makes the bucket of a trial. The Job runs it again until the store answers."""

import os

from minio import Minio

store = Minio(
    os.environ["HYTHE_S3_ENDPOINT"],
    access_key=os.environ["HYTHE_S3_ACCESS_KEY"],
    secret_key=os.environ["HYTHE_S3_SECRET_KEY"],
    region=os.environ["HYTHE_S3_REGION"],
    secure=os.environ["HYTHE_S3_SECURE"] == "true",
)
bucket = os.environ["HYTHE_S3_BUCKET"]
if not store.bucket_exists(bucket):
    store.make_bucket(bucket)
