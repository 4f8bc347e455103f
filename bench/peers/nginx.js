import { nginxDownload } from '../lib/download-peer.js';

export default { title: 'nginx, sendfile', limit: true, download: nginxDownload };
