import { pipeUpload } from '../lib/transfer-peer.js';

export default { title: 'the same, synced to the disk', limit: true, upload: pipeUpload({ FSYNC: '1' }) };
