import { roomOf } from '../lib/graphql-peer.js';
import { serverModule } from '../lib/paths.js';

export default {
  title: 'Socket.IO',
  packages: ['socket.io'],
  fanout: {
    start: (bench) => bench.startServer(['--expose-gc', serverModule('fanout-socketio.js')]),
    protocol: 'socket.io',
    path: () => '/socket.io/?EIO=4&transport=websocket',
    join: (context, index) => ['join', roomOf(context, index)],
    publish: (context, number, body) => ({ path: '/post', body: { roomId: roomOf(context, number), body } }),
  },
};
