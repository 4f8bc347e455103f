import type { RoomSignal } from '../../src/events/bus.js';
import { RedisBus } from '../../src/events/bus-redis.js';

/**
 * The program as `src/main.ts` runs it, with a failpoint that it knows nothing of: once its parent process says `armed` it dies as
 * by `kill -9` where a room's subscribers would be woken, which is exactly between the commit and the publish.
 */
let armed = false;
process.on('message', (message) => {
  if (message === 'armed') armed = true;
});
// The parent is gone, and its databases with it.
process.on('disconnect', () => process.exit(1));

const publish = RedisBus.prototype.publish;
RedisBus.prototype.publish = function (topic, message) {
  if (armed && (message as Partial<RoomSignal>).type === 'event') process.kill(process.pid, 'SIGKILL');
  publish.call(this, topic, message);
};

await import('../../src/main.js');
