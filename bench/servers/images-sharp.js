// node:http and sharp: makes what is asked for of a file in the folder PICTURES, each time anew, and keeps nothing.
import { createServer } from 'node:http';
import { join } from 'node:path';
import { makeVariant } from '../lib/variant.js';
import { listen } from './common.js';

listen(
  createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    const picture = await makeVariant(join(process.env.PICTURES, pathname), {
      width: Number(searchParams.get('width')),
      height: Number(searchParams.get('height')),
      fit: searchParams.get('fit'),
    });
    response.writeHead(200, { 'content-type': 'image/webp', 'content-length': picture.length });
    response.end(picture);
  }),
);
