// Socket.IO with a room of its own kind for each room, and no GraphQL.
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { answerJson, listen, newMessage, readJson } from './common.js';

const server = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/post') return;
  const { roomId, body } = await readJson(request);
  const message = newMessage(body);
  io.to(roomId).emit('messageAdded', message);
  answerJson(response, message);
});
const io = new Server(server);
io.on('connection', (socket) => socket.on('join', (room) => socket.join(room)));
listen(server);
