// Loaded into a server that runs with --expose-gc: SIGUSR2 asks it to collect, so that memory is compared without what is dead.
process.on('SIGUSR2', () => {
  globalThis.gc();
  globalThis.gc();
});
