import { randomBytes } from 'node:crypto';

/** Enough that they write at the same time, and few, for each password costs a tenth of a second to hash. */
export const USERS = 16;

/**
 * Signs users up, and makes rooms of which they are members as far as they are needed there: subscriber and room go round by the
 * subscriber's number, so does its user. Answers the `users` with their tokens, the `roomIds`, and the `members` of each room.
 */
export async function setUpParley({ url, n, rooms }) {
  const users = [];
  while (users.length < USERS) users.push(await signUp(url));
  const roomIds = [];
  const members = [];
  for (let room = 0; room < rooms; room++) {
    const owner = users[room % USERS];
    const roomId = await createRoom(owner);
    const here = new Set([owner]);
    for (let index = room; index < n; index += rooms) here.add(users[index % USERS]);
    for (const user of here) if (user !== owner) await joinRoom(user, roomId);
    roomIds.push(roomId);
    members.push([...here]);
  }
  return { users, roomIds, members };
}

/** A new user: `url`, `token` and what it takes to sign in again. */
export async function signUp(url) {
  const name = `bench-${randomBytes(6).toString('hex')}`;
  const account = { email: `${name}@example.com`, password: randomBytes(12).toString('hex') };
  const input = { ...account, handle: name, name: 'Ada Lovelace' };
  const data = await ask(
    { url },
    'mutation ($input: SignUpInput!) { signUp(input: $input) { accessToken } }',
    { input },
  );
  return { url, ...account, token: data.signUp.accessToken };
}

/** The user with a fresh token, at a server that may be another on the same database. */
export async function signIn({ email, password }, url) {
  const query = 'mutation ($input: SignInInput!) { signIn(input: $input) { accessToken } }';
  const data = await ask({ url }, query, { input: { email, password } });
  return { url, email, password, token: data.signIn.accessToken };
}

/** A new public room's id. */
export async function createRoom(owner) {
  const slug = `bench-${randomBytes(6).toString('hex')}`;
  const query = 'mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }';
  const data = await ask(owner, query, { input: { slug, name: slug, visibility: 'PUBLIC' } });
  return data.createRoom.room.id;
}

function joinRoom(user, roomId) {
  const query = 'mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { eventCursor } }';
  return ask(user, query, { input: { roomId } });
}

/** What the server answers to a user. Throws its errors. */
export async function ask({ url, token }, query, variables) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors !== undefined) throw new Error(JSON.stringify(errors));
  return data;
}
