import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backends, startParley, type Place } from '../support/app.js';
import { Client, PASSWORD, signUp, word, type GraphQLAnswer, type Variables } from '../support/client.js';
import { fieldsOf, nodeTypes, selectionOf, selectionOfRoot } from '../support/selection.js';
import { createUpload } from '../support/resumable.js';
import type { App } from '../../src/app.js';

const ROLES = ['signed out', 'stranger', 'member', 'moderator', 'owner'] as const;
type Role = (typeof ROLES)[number];
type Visibility = 'PUBLIC' | 'PRIVATE';

/**
 * Who gets what, in the words of the contract.
 * `data`: an answer. `null`: null and no error. `hidden`: null further up, and no error. Anything else: the error's code.
 * `own` and `other`: of the one who asks, or of another plain member. The stranger was a member once and has left, so
 * there is something of their own. A row of a type asks for each of its fields through `node`, or `room`.
 */
const TABLE = `
                                          room     signed out       stranger    member      moderator   owner

Query.viewer                              -        null             data        data        data        data
Query.userByHandle                        -        null             data        data        data        data
Query.rooms                               -        UNAUTHENTICATED  data        data        data        data
Query.room                                public   null             data        data        data        data
Query.room                                private  null             null        data        data        data
Query.roomBySlug                          public   null             data        data        data        data
Query.roomBySlug                          private  null             null        data        data        data
Query.filePage                            public   null             null        data        data        data
Query.filePage                            private  null             null        data        data        data
Query.files                               -        null             data        data        data        data
Query.upload                              public   null             null        data        null        null
Query.upload                              private  null             null        data        null        null

Query.node (User)                         -        null             data        data        data        data
Query.node (Viewer, own)                  -        null             data        data        data        data
Query.node (Viewer, other)                -        null             null        null        null        null
Query.node (Room)                         public   null             data        data        data        data
Query.node (Room)                         private  null             null        data        data        data
Query.node (RoomMember)                   public   null             null        data        data        data
Query.node (RoomMember)                   private  null             null        data        data        data
Query.node (Message)                      public   null             null        data        data        data
Query.node (Message)                      private  null             null        data        data        data
Query.node (File)                         public   null             null        data        data        data
Query.node (File)                         private  null             null        data        data        data
Query.node (UploadSession)                public   null             null        data        null        null
Query.node (UploadSession)                private  null             null        data        null        null
Query.node (nothing)                      -        null             null        null        null        null

User: id handle name createdAt            -        hidden           data        data        data        data
Viewer: id user email storage             -        hidden           data        data        data        data
Room: id slug name topic visibility       public   hidden           data        data        data        data
Room: id slug name topic visibility       private  hidden           hidden      data        data        data
Room: createdAt eventCursor               public   hidden           data        data        data        data
Room: createdAt eventCursor               private  hidden           hidden      data        data        data
Room: viewerMembership                    public   hidden           null        data        data        data
Room: viewerMembership                    private  hidden           hidden      data        data        data
Room: members messages files storage      public   hidden           null        data        data        data
Room: members messages files storage      private  hidden           hidden      data        data        data
RoomMember: id room user role joinedAt    public   hidden           hidden      data        data        data
RoomMember: id room user role joinedAt    private  hidden           hidden      data        data        data
Message: id room author body files        public   hidden           hidden      data        data        data
Message: id room author body files        private  hidden           hidden      data        data        data
Message: replyTo createdAt editedAt       public   hidden           hidden      data        data        data
Message: replyTo createdAt editedAt       private  hidden           hidden      data        data        data
Message: deletedAt                        public   hidden           hidden      null        null        null
Message: deletedAt                        private  hidden           hidden      null        null        null
File: id room uploader name mimeType      public   hidden           hidden      data        data        data
File: id room uploader name mimeType      private  hidden           hidden      data        data        data
File: size sha256 createdAt url           public   hidden           hidden      data        data        data
File: size sha256 createdAt url           private  hidden           hidden      data        data        data
File: image video audio pdf               public   hidden           hidden      null        null        null
File: image video audio pdf               private  hidden           hidden      null        null        null
UploadSession: id name size roomId        public   hidden           hidden      data        hidden      hidden
UploadSession: offset state url token     public   hidden           hidden      data        hidden      hidden
UploadSession: expiresAt                  public   hidden           hidden      data        hidden      hidden
UploadSession: file code message parts    public   hidden           hidden      null        hidden      hidden
UploadSession: partCount                  public   hidden           hidden      null        hidden      hidden

Mutation.signUp                           -        data             data        data        data        data
Mutation.signIn                           -        data             data        data        data        data
Mutation.refreshSession                   -        data             data        data        data        data
Mutation.signOut                          -        data             data        data        data        data
Mutation.renewConnection (over HTTP)      -        UNAUTHENTICATED  BAD_REQUEST BAD_REQUEST BAD_REQUEST BAD_REQUEST
Mutation.createRoom                       -        UNAUTHENTICATED  data        data        data        data
Mutation.deleteRoom                       public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   FORBIDDEN   data
Mutation.deleteRoom                       private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   data
Mutation.joinRoom                         public   UNAUTHENTICATED  data        CONFLICT    CONFLICT    CONFLICT
Mutation.joinRoom                         private  UNAUTHENTICATED  NOT_FOUND   CONFLICT    CONFLICT    CONFLICT
Mutation.leaveRoom                        public   UNAUTHENTICATED  FORBIDDEN   data        data        CONFLICT
Mutation.leaveRoom                        private  UNAUTHENTICATED  NOT_FOUND   data        data        CONFLICT
Mutation.addMember (as MEMBER)            public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   data        data
Mutation.addMember (as MEMBER)            private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   data        data
Mutation.addMember (as MODERATOR)         public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   FORBIDDEN   data
Mutation.addMember (as MODERATOR)         private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   data
Mutation.addMember (as OWNER)             public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   FORBIDDEN   data
Mutation.addMember (as OWNER)             private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   data
Mutation.changeMemberRole                 public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   FORBIDDEN   data
Mutation.changeMemberRole                 private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   data
Mutation.removeMember (a member)          public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   data        data
Mutation.removeMember (a member)          private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   data        data
Mutation.removeMember (a moderator)       public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   FORBIDDEN   data
Mutation.removeMember (a moderator)       private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   data
Mutation.removeMember (an owner)          public   UNAUTHENTICATED  FORBIDDEN   FORBIDDEN   FORBIDDEN   data
Mutation.removeMember (an owner)          private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   data
Mutation.postMessage                      public   UNAUTHENTICATED  FORBIDDEN   data        data        data
Mutation.postMessage                      private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.editMessage (own)                public   UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.editMessage (own)                private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.editMessage (other)              public   UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   FORBIDDEN
Mutation.editMessage (other)              private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   FORBIDDEN   FORBIDDEN
Mutation.deleteMessage (own)              public   UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.deleteMessage (own)              private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.deleteMessage (other)            public   UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   data        data
Mutation.deleteMessage (other)            private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   data        data
Mutation.setTyping                        public   UNAUTHENTICATED  FORBIDDEN   data        data        data
Mutation.setTyping                        private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.uploadFile                       public   UNAUTHENTICATED  FORBIDDEN   data        data        data
Mutation.uploadFile                       private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.uploadFiles                      public   UNAUTHENTICATED  FORBIDDEN   data        data        data
Mutation.uploadFiles                      private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.createUpload                     public   UNAUTHENTICATED  FORBIDDEN   data        data        data
Mutation.createUpload                     private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.createDirectUpload (no bucket)   -        UNAUTHENTICATED  BAD_REQUEST BAD_REQUEST BAD_REQUEST BAD_REQUEST
Mutation.completeDirectUpload (of tus)    -        UNAUTHENTICATED  NOT_FOUND   NOT_FOUND   NOT_FOUND   NOT_FOUND
Mutation.cancelUpload (own)               -        UNAUTHENTICATED  data        data        data        data
Mutation.cancelUpload (other)             -        UNAUTHENTICATED  NOT_FOUND   NOT_FOUND   NOT_FOUND   NOT_FOUND
Mutation.deleteFile (own)                 public   UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.deleteFile (own)                 private  UNAUTHENTICATED  NOT_FOUND   data        data        data
Mutation.deleteFile (other)               public   UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   data        data
Mutation.deleteFile (other)               private  UNAUTHENTICATED  NOT_FOUND   FORBIDDEN   data        data
`;

interface Row {
  /** `Query.node`, `Room` */
  readonly subject: string;
  /** `Viewer, own`, or the fields of a type */
  readonly detail: string;
  readonly visibility: Visibility;
  readonly expected: Readonly<Record<Role, string>>;
}

const rows: Row[] = TABLE.split('\n')
  .slice(2)
  .filter((line) => line.trim() !== '')
  .map((line) => {
    const [what = '', room, ...outcomes] = line.trim().split(/ {2,}|(?<=BAD_REQUEST) /);
    const [, subject = '', detail = ''] =
      /^([\w.]+)(?:: (.*)| \((.*)\))?$/.exec(what.replace(/ \((.*)\)$/, ': $1')) ?? [];
    if (outcomes.length !== ROLES.length) throw new Error(`not ${ROLES.length} outcomes: ${line}`);
    return {
      subject,
      detail,
      visibility: room === 'private' ? 'PRIVATE' : 'PUBLIC',
      expected: Object.fromEntries(ROLES.map((role, i) => [role, outcomes[i]])) as Row['expected'],
    };
  });

const isRoot = ({ subject }: Row): boolean => subject.includes('.');
const queries = rows.filter(({ subject }) => subject.startsWith('Query.'));
const mutations = rows.filter(({ subject }) => subject.startsWith('Mutation.'));
const fields = rows.filter((row) => !isRoot(row));

describe('The table of permissions', () => {
  /** `nodes` has tests of its own below: it answers as `node` does for each id. */
  const elsewhere = ['Query.nodes'];

  test.each(['Query', 'Mutation'])('covers every field of %s', (kind) => {
    const covered = new Set([...rows.map(({ subject }) => subject), ...elsewhere]);
    const present = fieldsOf(kind).map(({ name }) => `${kind}.${name}`);
    expect([...covered].filter((name) => name.startsWith(`${kind}.`)).sort()).toEqual(present.sort());
  });

  test('covers every type that has an id, with each of its fields', () => {
    const covered = fields.flatMap(({ subject, detail }) =>
      detail.split(' ').map((field) => `${subject}.${field}`),
    );
    const present = nodeTypes().flatMap(({ name }) => fieldsOf(name).map((field) => `${name}.${field.name}`));
    expect([...new Set(covered)].sort()).toEqual(present.sort());
    const asNodes = queries
      .filter(({ subject }) => subject === 'Query.node')
      .map(({ detail }) => detail.split(',')[0]);
    const names = nodeTypes().map(({ name }) => name);
    expect([...new Set(asNodes)].sort()).toEqual([...names, 'nothing'].sort());
  });
});

/** One room with everyone in it whom the table speaks of. */
interface Scene {
  readonly roomId: string;
  readonly slug: string;
  readonly people: Readonly<Record<Role, Client>>;
  /** Plain member, moderator and owner beside those who ask. */
  readonly others: { readonly member: Client; readonly moderator: Client; readonly owner: Client };
  /** No member. */
  readonly newcomer: Client;
}

describe.each(backends)('Permissions on %s', (backend) => {
  let app: App & { readonly place: Place };
  let people: Scene['people'];
  let others: Scene['others'];
  let newcomer: Client;
  const scenes = {} as Record<Visibility, Scene & Subjects>;

  /** What the queries ask for: made by a plain member. */
  interface Subjects {
    readonly messageId: string;
    readonly fileId: string;
    readonly memberId: string;
    readonly uploadId: string;
  }

  beforeAll(async () => {
    app = await startParley(backend);
    const [stranger, member, moderator, owner, ...rest] = await Promise.all(
      Array.from({ length: 8 }, () => signUp(app.url)),
    );
    people = {
      'signed out': new Client(app.url),
      stranger: stranger!,
      member: member!,
      moderator: moderator!,
      owner: owner!,
    };
    others = { member: rest[0]!, moderator: rest[1]!, owner: rest[2]! };
    newcomer = rest[3]!;
    for (const visibility of ['PUBLIC', 'PRIVATE'] as const) {
      const scene = await makeScene(visibility);
      scenes[visibility] = { ...scene, ...(await makeSubjects(scene)) };
    }
  });
  afterAll(() => app[Symbol.asyncDispose]());

  async function makeScene(visibility: Visibility): Promise<Scene> {
    const slug = `room-${word()}`;
    const { createRoom } = await people.owner.run(
      `mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }`,
      { input: { slug, name: 'A room', topic: 'Of permissions', visibility } },
    );
    const roomId = createRoom.room.id as string;
    const joining = [
      [people.member, 'MEMBER'],
      [people.moderator, 'MODERATOR'],
      [others.member, 'MEMBER'],
      [others.moderator, 'MODERATOR'],
    ] as const;
    await people.owner.run(
      `mutation { ${joining
        .map(
          ([{ userId }, role], i) =>
            `m${i}: addMember(input: { roomId: "${roomId}", userId: "${userId}", role: ${role} }) { eventCursor }`,
        )
        .join(' ')} }`,
    );
    return { roomId, slug, people, others, newcomer };
  }

  async function makeSubjects({ roomId }: Scene): Promise<Subjects> {
    const fileId = await uploaded(people.member, roomId);
    const first = await people.member.post(roomId, 'first');
    const { id: messageId } = await people.member.post(roomId, 'second', {
      replyToId: first.id,
      fileIds: [fileId],
    });
    await people.member.run(
      `mutation ($input: EditMessageInput!) { editMessage(input: $input) { eventCursor } }`,
      {
        input: { messageId, body: 'second, edited' },
      },
    );
    const { room } = await people.member.run(
      `query ($id: ID!) { room(id: $id) { viewerMembership { id } } }`,
      { id: roomId },
    );
    const uploadId = await begunUpload(people.member, roomId);
    return { messageId, fileId, memberId: room.viewerMembership.id, uploadId };
  }

  /** Does `work` as a member of the room; the stranger comes in for it and leaves again. */
  async function inside<T>({ roomId }: Scene, role: Role, work: (who: Client) => Promise<T>): Promise<T> {
    // Nothing is the signed-out one's own, so it is another's that they try.
    if (role === 'signed out') return work(others.member);
    if (role !== 'stranger') return work(people[role]);
    await people.owner.run(
      `mutation ($input: AddMemberInput!) { addMember(input: $input) { eventCursor } }`,
      {
        input: { roomId, userId: people.stranger.userId },
      },
    );
    const done = await work(people.stranger);
    await people.stranger.run(
      `mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { eventCursor } }`,
      {
        input: { roomId },
      },
    );
    return done;
  }

  const messageOf = async (scene: Scene, detail: string, role: Role): Promise<string> =>
    detail === 'other'
      ? (await others.member.post(scene.roomId, "another's")).id
      : inside(scene, role, async (who) => (await who.post(scene.roomId, 'mine')).id);

  const fileOf = async (scene: Scene, detail: string, role: Role): Promise<string> =>
    detail === 'other'
      ? uploaded(others.member, scene.roomId)
      : inside(scene, role, (who) => uploaded(who, scene.roomId));

  const uploadOf = async (scene: Scene, detail: string, role: Role): Promise<string> =>
    detail === 'other'
      ? begunUpload(others.member, scene.roomId)
      : inside(scene, role, (who) => begunUpload(who, scene.roomId));

  /** What each query of the table asks with. */
  const asked: Record<string, (scene: Scene & Subjects, asker: Client) => Variables> = {
    viewer: () => ({}),
    userByHandle: () => ({ handle: others.member.handle }),
    rooms: () => ({}),
    room: ({ roomId }) => ({ id: roomId }),
    roomBySlug: ({ slug }) => ({ slug }),
    filePage: ({ roomId }) => ({ roomId }),
    files: () => ({}),
    upload: ({ uploadId }) => ({ id: uploadId }),
    'node (User)': () => ({ id: others.member.userId }),
    'node (Viewer, own)': (_scene, { userId }) => ({ id: viewerIdOf(userId) }),
    'node (Viewer, other)': () => ({ id: viewerIdOf(others.member.userId) }),
    'node (Room)': ({ roomId }) => ({ id: roomId }),
    'node (RoomMember)': ({ memberId }) => ({ id: memberId }),
    'node (Message)': ({ messageId }) => ({ id: messageId }),
    'node (File)': ({ fileId }) => ({ id: fileId }),
    'node (UploadSession)': ({ uploadId }) => ({ id: uploadId }),
    'node (nothing)': () => ({ id: 'nothing' }),
  };

  test.each(queries)(
    '$subject ($detail) in a $visibility room',
    async ({ subject, detail, visibility, expected }) => {
      const name = subject.replace('Query.', '');
      const scene = scenes[visibility];
      const found = await each(async (_role, asker) => {
        const variables = asked[detail === '' ? name : `${name} (${detail})`]!(scene, asker);
        return outcome(await asker.ask(document('Query', name, Object.keys(variables)), variables));
      });
      expect(found).toEqual(expected);
    },
  );

  test.each(fields)(
    '$subject: $detail in a $visibility room',
    async ({ subject, detail, visibility, expected }) => {
      const { roomId, memberId, messageId, fileId, uploadId } = scenes[visibility];
      const found = await each(async (_role, asker) => {
        const ids: Record<string, string> = {
          User: others.member.userId,
          Viewer: viewerIdOf(asker.userId),
          Room: roomId,
          RoomMember: memberId,
          Message: messageId,
          File: fileId,
          UploadSession: uploadId,
        };
        const outcomes = new Set<string>();
        for (const name of detail.split(' ')) {
          const field = fieldsOf(subject).find((one) => one.name === name)!;
          const query = `query ($id: ID!) { it: node(id: $id) { ... on ${subject} { ${selectionOf(field, 3) ?? ''} } } }`;
          const answer = await asker.ask(query, { id: ids[subject] });
          outcomes.add(outcome(answer, name));
        }
        return [...outcomes].join(' and ');
      });
      expect(found).toEqual(expected);
    },
  );

  /** What each mutation of the table is sent. A file goes along as a part of its own. */
  const sent: Record<string, (scene: Scene, role: Role, detail: string) => Promise<Variables> | Variables> = {
    signUp: () => ({
      email: `${word()}@example.com`,
      password: PASSWORD,
      handle: `user-${word()}`,
      name: 'Someone',
    }),
    signIn: () => ({ email: `${newcomer.handle}@example.com`, password: PASSWORD }),
    refreshSession: async () => ({ refreshToken: await freshSignIn() }),
    signOut: async () => ({ refreshToken: await freshSignIn() }),
    renewConnection: () => ({ accessToken: newcomer.token }),
    createRoom: () => ({ slug: `room-${word()}`, name: 'Another', topic: null, visibility: 'PRIVATE' }),
    // The scene is needed further on.
    deleteRoom: async ({ roomId }, role) => ({
      roomId: role === 'owner' ? await people.owner.createRoom() : roomId,
    }),
    joinRoom: ({ roomId }) => ({ roomId }),
    leaveRoom: ({ roomId }) => ({ roomId }),
    addMember: ({ roomId }, _role, detail) => ({
      roomId,
      userId: newcomer.userId,
      role: detail.replace('as ', ''),
    }),
    changeMemberRole: ({ roomId }) => ({ roomId, userId: others.member.userId, role: 'OWNER' }),
    removeMember: async ({ roomId }, _role, detail) => {
      const who = detail.split(' ')[1] as keyof Scene['others'];
      if (who === 'owner') {
        // Already there when somebody was refused before.
        await people.owner.ask(
          `mutation ($input: AddMemberInput!) { addMember(input: $input) { eventCursor } }`,
          {
            input: { roomId, userId: others.owner.userId, role: 'OWNER' },
          },
        );
      }
      return { roomId, userId: others[who].userId };
    },
    postMessage: ({ roomId }) => ({ roomId, body: 'hello' }),
    editMessage: async (scene, role, detail) => ({
      messageId: await messageOf(scene, detail, role),
      body: 'changed',
    }),
    deleteMessage: async (scene, role, detail) => ({ messageId: await messageOf(scene, detail, role) }),
    setTyping: ({ roomId }) => ({ roomId, typing: true }),
    uploadFile: ({ roomId }) => ({ roomId, file: null }),
    uploadFiles: ({ roomId }) => ({ roomId, files: [null] }),
    createUpload: ({ roomId }) => ({ roomId, name: 'a.txt', size: 5 }),
    createDirectUpload: ({ roomId }) => ({ roomId, name: 'a.txt', size: 5 }),
    completeDirectUpload: async (scene, role) => ({
      uploadId: await uploadOf(scene, 'own', role),
      parts: [{ number: 1, etag: 'some' }],
    }),
    cancelUpload: async (scene, role, detail) => ({ uploadId: await uploadOf(scene, detail, role) }),
    deleteFile: async (scene, role, detail) => ({ fileId: await fileOf(scene, detail, role) }),
  };

  /** Where the room's log ends. */
  const headOf = async ({ roomId }: Scene): Promise<string> => {
    const { room } = await people.owner.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, {
      id: roomId,
    });
    return room.eventCursor as string;
  };

  const freshSignIn = async (): Promise<string> => {
    const { signIn } = await new Client(app.url).run(
      `mutation ($input: SignInInput!) { signIn(input: $input) { refreshToken } }`,
      { input: { email: `${newcomer.handle}@example.com`, password: PASSWORD } },
    );
    return signIn.refreshToken as string;
  };

  test.each(mutations)(
    '$subject ($detail) in a $visibility room',
    async ({ subject, detail, visibility, expected }) => {
      const name = subject.replace('Mutation.', '');
      let scene: Scene | undefined;
      const found = await each(async (role, asker) => {
        // Who is refused changes nothing, so the next one finds the room as it was.
        scene ??= await makeScene(visibility);
        const input = await sent[name]!(scene, role, detail);
        const query = document('Mutation', name, ['input']);
        const head = await headOf(scene);
        const answer = name.startsWith('upload')
          ? await multipart(asker, query, input)
          : await asker.ask(query, { input });
        const result = outcome(answer);
        if (result === 'data') scene = undefined;
        else expect(await headOf(scene)).toBe(head);
        return result;
      });
      expect(found).toEqual(expected);
    },
  );

  test('nodes answers for each id as node does, in the order asked', async () => {
    const types = nodeTypes().map(({ name }) => name);
    const found = await each(async (_role, asker) => {
      const ids = (['PUBLIC', 'PRIVATE'] as const).flatMap((visibility) => {
        const { roomId, memberId, messageId, fileId, uploadId } = scenes[visibility];
        return [
          others.member.userId,
          viewerIdOf(asker.userId),
          roomId,
          memberId,
          messageId,
          fileId,
          uploadId,
        ];
      });
      const { nodes } = await asker.run(`query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`, {
        ids: [...ids, 'nothing', ids[0]],
      });
      const kinds = nodes.map((node: { __typename: string; id: string } | null) => node?.__typename ?? '-');
      nodes.slice(0, ids.length).forEach((node: { id: string } | null, i: number) => {
        if (node !== null) expect(node.id).toBe(ids[i]);
      });
      return kinds.join(' ');
    });
    const everything = 'User Viewer Room RoomMember Message File';
    expect(new Set([...everything.split(' '), 'UploadSession'])).toEqual(new Set(types));
    expect(found).toEqual({
      'signed out': '- - - - - - - - - - - - - - - -',
      stranger: 'User Viewer Room - - - - User Viewer - - - - - - User',
      member: `${everything} UploadSession ${everything} UploadSession - User`,
      moderator: `${everything} - ${everything} - - User`,
      owner: `${everything} - ${everything} - - User`,
    });
  });

  test('a list of rooms has private ones for their members alone, whatever its filter', async () => {
    const slugs = (asker: Client, filter: Variables): Promise<string[]> =>
      allSlugs(asker, { nameContains: 'A room', ...filter });
    const { PUBLIC, PRIVATE } = scenes;
    for (const filter of [{}, { visibility: 'PRIVATE' }, { joined: true }, { joined: false }]) {
      expect(await slugs(people.stranger, filter)).not.toContain(PRIVATE.slug);
    }
    expect(await slugs(people.stranger, {})).toContain(PUBLIC.slug);
    expect(await slugs(people.stranger, { joined: false })).toContain(PUBLIC.slug);
    for (const role of ['member', 'moderator', 'owner'] as const) {
      for (const filter of [
        {},
        { visibility: 'PRIVATE' },
        { joined: true },
        { joined: true, visibility: 'PRIVATE' },
      ]) {
        expect(await slugs(people[role], filter)).toContain(PRIVATE.slug);
      }
      for (const filter of [
        { joined: false },
        { visibility: 'PUBLIC' },
        { joined: false, visibility: 'PRIVATE' },
      ]) {
        expect(await slugs(people[role], filter)).not.toContain(PRIVATE.slug);
      }
    }
  });

  const allSlugs = async (asker: Client, filter: Variables): Promise<string[]> => {
    const slugs: string[] = [];
    for (let after: string | null = null; ;) {
      const answer: Record<string, any> = await asker.run(
        `query ($after: String, $filter: RoomFilter) { rooms(first: 100, after: $after, filter: $filter) {
          edges { node { slug } } pageInfo { hasNextPage endCursor } } }`,
        { after, filter },
      );
      slugs.push(...answer['rooms'].edges.map(({ node }: { node: { slug: string } }) => node.slug));
      if (answer['rooms'].pageInfo.hasNextPage !== true) return slugs;
      after = answer['rooms'].pageInfo.endCursor;
    }
  };

  test('whoever leaves loses what is for members with the very answer to leaving', async () => {
    const leave = `mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { roomId memberId
      room { viewerMembership { id } members { totalCount } messages { totalCount } files { totalCount } } } }`;
    const open = await makeScene('PUBLIC');
    expect((await people.member.run(leave, { input: { roomId: open.roomId } }))['leaveRoom']).toEqual({
      roomId: open.roomId,
      memberId: expect.any(String),
      room: { viewerMembership: null, members: null, messages: null, files: null },
    });
    const closed = await makeScene('PRIVATE');
    expect((await people.member.run(leave, { input: { roomId: closed.roomId } }))['leaveRoom']).toEqual({
      roomId: closed.roomId,
      memberId: expect.any(String),
      room: null,
    });
  });

  test('a link that was given out goes on for one who left', async () => {
    const { roomId } = await makeScene('PRIVATE');
    const fileId = await uploaded(people.member, roomId);
    const { node } = await people.member.run(`query ($id: ID!) { node(id: $id) { ... on File { url } } }`, {
      id: fileId,
    });
    await people.member.run(`mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { roomId } }`, {
      input: { roomId },
    });
    const download = await fetch(node.url as string);
    expect(download.status).toBe(200);
    expect(await download.text()).toBe('some text');
  });

  async function each(ask: (role: Role, asker: Client) => Promise<string>): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const role of ROLES) found[role] = await ask(role, people[role]);
    return found;
  }
});

/** The root field with everything that it answers, as `it`. */
function document(kind: 'Query' | 'Mutation', name: string, args: readonly string[]): string {
  const field = fieldsOf(kind).find((one) => one.name === name)!;
  const declared = field.args.filter((arg) => args.includes(arg.name));
  const variables = declared.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ');
  const given = declared.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const brackets = (text: string): string => (text === '' ? '' : `(${text})`);
  return `${kind.toLowerCase()} ${brackets(variables)} { it: ${name}${brackets(given)} ${selectionOfRoot(kind, name, 2)} }`;
}

/** An answer in the words of the table. `below`: the field of `it` that was asked for. */
function outcome({ data, errors }: GraphQLAnswer, below?: string): string {
  const { it } = data;
  if (errors.length > 1) return `${errors.length} errors`;
  if (errors[0] !== undefined) {
    // One error takes no sibling with it: the field that failed is null, and the error says which one it was.
    expect(errors[0].path).toEqual(['it']);
    expect(it).toBeNull();
    return String(errors[0].extensions['code']);
  }
  if (below === undefined) return it === null ? 'null' : 'data';
  if (it === null) return 'hidden';
  return it[below] === null ? 'null' : 'data';
}

const viewerIdOf = (userId: string): string => userId.replace('user_', 'viewer_');

/** An upload over several requests, of which nothing was sent yet. */
const begunUpload = async (who: Client, roomId: string): Promise<string> =>
  (await createUpload(who, roomId, 5))['id'] as string;

async function uploaded(client: Client, roomId: string): Promise<string> {
  const { data } = await client.upload(roomId, 'notes.txt', 'some text');
  return data['uploadFile'].file.id as string;
}

async function multipart(client: Client, query: string, input: Variables): Promise<GraphQLAnswer> {
  const form = new FormData();
  form.set('operations', JSON.stringify({ query, variables: { input } }));
  form.set(
    'map',
    JSON.stringify({ 0: ['files' in input ? 'variables.input.files.0' : 'variables.input.file'] }),
  );
  form.set('0', new Blob(['some text']), 'notes.txt');
  const response = await fetch(`${client.url}/graphql`, {
    method: 'POST',
    headers: { 'apollo-require-preflight': '1', ...client.headers() },
    body: form,
  });
  const { data, errors = [] } = (await response.json()) as Pick<GraphQLAnswer, 'data'> &
    Partial<GraphQLAnswer>;
  return { status: response.status, data, errors };
}
