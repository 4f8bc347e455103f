import { fastapiUpload } from '../lib/transfer-peer.js';

export default { title: 'FastAPI, UploadFile', upload: fastapiUpload };
