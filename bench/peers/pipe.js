import { pipeUpload } from '../lib/transfer-peer.js';

export default { title: 'node:http, a pipe into a file', limit: true, upload: pipeUpload() };
