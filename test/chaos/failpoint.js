import { Socket } from 'node:net';

/**
 * Loaded before the program that `npm run build` made, which knows nothing of it: once its parent process says `armed` it dies as by
 * `kill -9` where a room's subscribers would be woken by Redis, which is exactly between the commit and the publish.
 */
let armed = false;
process.on('message', (message) => {
  if (message === 'armed') armed = true;
});
// The parent is gone, and its databases with it.
process.on('disconnect', () => process.exit(1));

const { write } = Socket.prototype;
/** @type {(this: Socket, ...args: any[]) => boolean} */
Socket.prototype.write = function (...args) {
  if (armed && wakes(String(args[0]))) process.kill(process.pid, 'SIGKILL');
  return Reflect.apply(write, this, args);
};

/** @param {string} command */
const wakes = (command) => /\bs?publish\r\n/i.test(command) && command.includes('"type":"event"');
