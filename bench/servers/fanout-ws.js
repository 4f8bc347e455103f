// The limit: ws alone, and one text for each message. With REDIS_URL the text comes by a channel of Redis, as between processes.
import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';
import { answerJson, listen, newMessage, readJson } from './common.js';

const rooms = new Map();
const publish = process.env.REDIS_URL === undefined ? deliver : await throughRedis(process.env.REDIS_URL);

const server = createServer(async (request, response) => {
  const { roomId, body } = await readJson(request);
  const message = newMessage(body);
  publish(roomId, JSON.stringify({ id: '1', type: 'next', payload: { data: { messageAdded: message } } }));
  answerJson(response, message);
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket, request) => {
  const room = new URL(request.url, 'http://localhost').searchParams.get('room');
  const members = rooms.get(room) ?? new Set();
  rooms.set(room, members.add(socket));
  socket.on('close', () => members.delete(socket));
  socket.on('error', () => members.delete(socket));
});
listen(server);

function deliver(roomId, text) {
  for (const socket of rooms.get(roomId) ?? []) socket.send(text);
}

async function throughRedis(url) {
  const publisher = new Redis(url);
  const subscriber = new Redis(url);
  await subscriber.psubscribe('room:*');
  subscriber.on('pmessage', (_pattern, channel, text) => deliver(channel.slice('room:'.length), text));
  return (roomId, text) => publisher.publish(`room:${roomId}`, text);
}
