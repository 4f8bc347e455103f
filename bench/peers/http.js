import { plainOverhead } from '../lib/overhead-peer.js';

export default { title: 'node:http alone', limit: true, overhead: plainOverhead('overhead-http.js') };
