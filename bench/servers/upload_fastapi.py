# FastAPI as its tutorial has it: an UploadFile, which is a temporary file by the time we get it, copied to where it is to stay.
import os
import shutil
import uuid

from fastapi import FastAPI, UploadFile

app = FastAPI()


@app.post("/upload")
def upload(file: UploadFile):
    with open(os.path.join(os.environ["UPLOAD_DIR"], uuid.uuid4().hex), "wb") as stored:
        shutil.copyfileobj(file.file, stored)
        return {"size": stored.tell()}
