/** What `signUp`, `signIn` and `refreshSession` answer, as far as it is needed to stay signed in. */
export interface Tokens {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: string;
  readonly refreshToken: string;
}

/** Where the tokens of a sign-in are kept. */
export interface TokenStore {
  /**
   * Another tab may use the same store, or have a copy of it: the tabs then tell each other of their sign-ins.
   */
  readonly isCopied?: boolean;
  get(): Tokens | undefined;
  set(tokens: Tokens | undefined): void;
  /** Calls back when another tab has changed what is kept. Returns how to stop that. */
  watch?(changed: () => void): () => void;
}

/** Keeps the tokens for as long as the page is open. */
export function inMemory(): TokenStore {
  let kept: Tokens | undefined;
  return {
    get: () => kept,
    set: (tokens) => {
      kept = tokens;
    },
  };
}

/** Keeps the tokens in `localStorage` or `sessionStorage`. */
export function inStorage(storage: TextStorage, key = 'parley'): TokenStore {
  return {
    isCopied: true,
    get: () => {
      const text = storage.getItem(key);
      return text === null ? undefined : (JSON.parse(text) as Tokens);
    },
    set: (tokens) => {
      if (tokens === undefined) storage.removeItem(key);
      else storage.setItem(key, JSON.stringify(tokens));
    },
    watch: (changed) => {
      const { addEventListener, removeEventListener } = globalThis as unknown as StorageEvents;
      // A key of null: all of the storage was cleared.
      const listener = (event: StorageChange): void => {
        if (event.storageArea === storage && (event.key === key || event.key === null)) changed();
      };
      addEventListener?.('storage', listener);
      return () => removeEventListener?.('storage', listener);
    },
  };
}

/** What is needed of the browser's Storage. */
interface TextStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What is needed of the browser's StorageEvent. */
interface StorageChange {
  readonly key: string | null;
  readonly storageArea: unknown;
}

/** Browsers have these, and Node does not. */
interface StorageEvents {
  readonly addEventListener?: (type: 'storage', listener: (event: StorageChange) => void) => void;
  readonly removeEventListener?: (type: 'storage', listener: (event: StorageChange) => void) => void;
}
