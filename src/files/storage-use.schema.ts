import { Viewer } from '../accounts/accounts.schema.js';
import { builder } from '../graphql/builder.js';
import { needsViewer } from '../graphql/needs-viewer.js';
import { Room, viewerReads } from '../rooms/rooms.schema.js';

interface Use {
  readonly used: number;
  readonly limit: number | undefined;
}

const StorageUse = builder.objectRef<Use>('StorageUse').implement({
  description: 'How much room files take up. Each counts in full as long as it is there.',
  fields: (t) => ({
    usedBytes: t.expose('used', { type: 'SafeInt', description: 'Bytes of all files together.' }),
    limitBytes: t.field({
      type: 'SafeInt',
      nullable: true,
      description:
        'Bytes that they may have: beyond, uploads are QUOTA_EXCEEDED. Null where there is no limit.',
      resolve: ({ limit }) => limit ?? null,
    }),
  }),
});

builder.objectField(Viewer, 'storage', (t) =>
  t.field({
    type: StorageUse,
    description: 'What the files take up that the viewer has uploaded, in all rooms.',
    resolve: (account, _args, ctx) => ({
      used: account.used_bytes,
      limit: ctx.services.files.quotas.userBytes,
    }),
  }),
);

builder.objectField(Room, 'storage', (t) =>
  t.field({
    type: StorageUse,
    nullable: true,
    extensions: needsViewer,
    description:
      'What the files of the room take up, whoever uploaded them. Null for those who are no members.',
    resolve: async (room, _args, ctx) =>
      (await viewerReads(ctx, room.id))
        ? { used: room.used_bytes, limit: ctx.services.files.quotas.roomBytes }
        : null,
  }),
);
