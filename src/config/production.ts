/**
 * Imported before everything else: libraries look at `NODE_ENV` when they are loaded, and check for mistakes of a developer in every
 * call unless it says that there is none here.
 */
process.env['NODE_ENV'] ??= 'production';
