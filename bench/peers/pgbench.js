import { pgbenchPosts } from '../lib/pgbench.js';

export default { title: 'pgbench, one statement a post', limit: true, post: { measure: pgbenchPosts } };
