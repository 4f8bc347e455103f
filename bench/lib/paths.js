import { join } from 'node:path';

/** The folder of the bench, and the repository's. */
export const HERE = join(import.meta.dirname, '..');
export const ROOT = join(HERE, '..');

/** A module of bench/servers. */
export const serverModule = (file) => join(HERE, 'servers', file);
