import { sharpImages } from '../lib/images-peer.js';

export default { title: 'sharp alone, behind node:http', limit: true, images: sharpImages };
