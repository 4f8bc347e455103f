import { startParley } from './parley-peer.js';

/** Measures posts to Parley over `transport` (http or socket): as the writers of `place` in its rooms. */
export const parleyPosts = (transport, root) => async (bench, place) => {
  const server = await startParley(bench, { root, database: place.database });
  try {
    const { users, roomIds } = place;
    const { url, pid } = server;
    return await bench.load('posts.js', {
      transport,
      url,
      pid,
      users,
      roomIds,
      seconds: bench.options.seconds,
    });
  } finally {
    await server.stop();
  }
};
