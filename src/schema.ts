import './graphql/scalars.js';
import './accounts/accounts.schema.js';
import './rooms/rooms.schema.js';
import './rooms/room-changes.schema.js';
import './rooms/room-events.schema.js';
import './files/files.schema.js';
import './files/file-lists.schema.js';
import './files/file-changes.schema.js';
import './files/storage-use.schema.js';
import './files/media.schema.js';
import './files/resumable/upload-sessions.schema.js';
import './messages/messages.schema.js';
import './typing/typing.schema.js';
import { builder } from './graphql/builder.js';
import { withImmediateIds } from './graphql/immediate-ids.js';

/** The slices' types and fields, as one schema. */
export const schema = withImmediateIds(builder.toSchema());
