import { backends, type Backend } from './app.js';
import { stores, type Store } from './object-store.js';

/** A database, and a place for the bytes of files. */
export interface Kind {
  readonly backend: Backend;
  readonly store: Store;
}

/** Each database with the folder, and Postgres with each other place. */
export const kinds: readonly Kind[] = [
  ...backends.map((backend) => ({ backend, store: 'disk' as const })),
  ...backends.slice(1).flatMap((backend) => stores.slice(1).map((store) => ({ backend, store }))),
];

/** Each database and each place once, for what takes long and asks little of either. */
export const pairs: readonly Kind[] = backends.map((backend, at) => ({
  backend,
  store: stores[at] ?? 'disk',
}));
