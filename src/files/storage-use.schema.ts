import { Viewer } from '../accounts/accounts.schema.js';
import { builder } from '../graphql/builder.js';
import { needsViewer } from '../graphql/needs-viewer.js';
import { Room, viewerReads } from '../rooms/rooms.schema.js';

interface Use {
  readonly used: number;
  readonly limit: number | undefined;
}

const StorageUse = builder.objectRef<Use>('StorageUse').implement({
  description: 'How much storage space files take up. Every file counts in full until it is deleted.',
  fields: (t) => ({
    usedBytes: t.expose('used', { type: 'SafeInt', description: 'Total size of the files in bytes.' }),
    limitBytes: t.field({
      type: 'SafeInt',
      nullable: true,
      description:
        'The quota in bytes: uploads that would go beyond it fail with QUOTA_EXCEEDED. The announced sizes of open uploads count against it, although they are not among `usedBytes`. Null if there is none.',
      resolve: ({ limit }) => limit ?? null,
    }),
  }),
});

builder.objectField(Viewer, 'storage', (t) =>
  t.field({
    type: StorageUse,
    description: 'Storage used by the files that the viewer has uploaded, in all rooms.',
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
      'Storage used by the files of the room, whoever uploaded them. Null if the viewer is not a member.',
    resolve: async (room, _args, ctx) =>
      (await viewerReads(ctx, room.id))
        ? { used: room.used_bytes, limit: ctx.services.files.quotas.roomBytes }
        : null,
  }),
);
