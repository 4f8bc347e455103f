// node:http, whose request goes into a file by a pipe. With FSYNC it is on the disk before it is answered.
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { answerJson, listen } from './common.js';

listen(
  createServer((request, response) => {
    const file = createWriteStream(join(process.env.UPLOAD_DIR, randomUUID()), {
      flush: process.env.FSYNC !== undefined,
    });
    // It is flushed between these two.
    const done = process.env.FSYNC === undefined ? 'finish' : 'close';
    request.pipe(file).once(done, () => answerJson(response, { size: file.bytesWritten }));
  }),
);
