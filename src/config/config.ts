/** The whole configuration of one process, as `readConfig` (env.ts) makes it from the environment. */
export interface Config {
  /** Port 0 lets the system pick one; the ready line names it. */
  readonly port: number;
  readonly host: string;
  /** Absolute path of the folder for the embedded database, local files and the generated secret. */
  readonly dataDir: string;
  /** Postgres to connect to; the embedded one when undefined. */
  readonly databaseUrl: string | undefined;
  /** Connections a process opens to Postgres at most. */
  readonly databasePoolSize: number;
  /** Milliseconds that a statement may take for which a client waits; 0: any. */
  readonly statementTimeoutMs: number;
  /** Milliseconds after which a statement without an answer counts as lost, with its connection. */
  readonly databaseTimeoutMs: number;
  /** Redis or Valkey to carry wake-ups between processes; in-process when undefined. */
  readonly redisUrl: string | undefined;
  /** A Redis Cluster instead. */
  readonly redisCluster: RedisClusterConfig | undefined;
  /** Signs access tokens and file links. Undefined: generated into `dataDir` on first start (embedded only). */
  readonly jwtSecret: string | undefined;
  /** An identity provider whose tokens are accepted beside our own. */
  readonly identityProvider: IdentityProvider | undefined;
  readonly uploads: {
    /** Bytes; a file larger than this is refused while it streams. */
    readonly maxBytes: number;
    /** Media types, `type/subtype` or `type/*`, judged by content. */
    readonly allowedTypes: readonly string[];
    /** Uploads of one user that may be under way, over all processes. */
    readonly atOnce: number;
  };
  /** Bytes of all files together; undefined for any number. */
  readonly quotas: { readonly userBytes: number | undefined; readonly roomBytes: number | undefined };
  /** Scans every file before anyone sees it; none when undefined. `uploads.maxBytes` is no more than it looks through. */
  readonly scanner: ScannerPlace | undefined;
  readonly previews: {
    /** Whether anything is found out of files, and made of them. */
    readonly on: boolean;
    /** Pixels of the largest picture or film that is decoded. */
    readonly maxPixels: number;
    /** Folders in which programs are looked for: the PATH. */
    readonly programFolders: readonly string[];
  };
  /** Where files lie; in `dataDir` when undefined. */
  readonly s3: S3Place | undefined;
  /** Milliseconds that events stay in a room's log, to resume from; messages and files stay for good. */
  readonly eventRetentionMs: number;
  readonly rateLimits: {
    /** Failed sign-ins to one account in 15 minutes. */
    readonly signInsPerAccount: number;
    /** Failed sign-ins from one address in 15 minutes. */
    readonly signInsPerAddress: number;
    /** Sign-ups from one address in an hour. */
    readonly signUpsPerAddress: number;
  };
  /** What may be done in a minute; undefined for as much as one likes. */
  readonly rates: Readonly<Record<RateKind, Rate | undefined>>;
  readonly metrics: {
    /** Port of `/metrics`; nothing is served when undefined. */
    readonly port: number | undefined;
    readonly host: string;
  };
  /** Base address of an OpenTelemetry collector (OTLP over HTTP); no traces when undefined. */
  readonly otlpEndpoint: string | undefined;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Absolute base of links, without a trailing slash. Undefined: the address it listens on. */
  readonly publicUrl: string | undefined;
  /** Origins that browsers may call from; `*` for any. */
  readonly corsOrigins: readonly string[];
  /** Addresses or named ranges of proxies whose X-Forwarded-For is believed (proxy-addr's syntax). */
  readonly trustProxy: readonly string[];
  /** Processes that serve on the one port. 1: this one. */
  readonly workers: number;
  /** Milliseconds for which everything is still served after SIGTERM, while `/readyz` says already that it ends. */
  readonly drainDelayMs: number;
  readonly sockets: {
    /** WebSockets that one process carries; one more is closed with 1013. */
    readonly limit: number;
    /** Of these, how many may be signed out. */
    readonly signedOut: number;
    /** Of these, how many of one address may be signed out, or have not said yet whether they are. */
    readonly perAddress: number;
    /** Compress messages for clients that ask for it (RFC 7692): less to carry, at several times the work. */
    readonly compression: boolean;
  };
  /** To whom the schema is shown by `__schema` and `__type`. */
  readonly introspection: 'on' | 'signed-in' | 'off';
  /** Whether browsers are served GraphiQL. */
  readonly graphiql: boolean;
  readonly persistedDocuments: {
    /** Execute the documents of the list, and no others. */
    readonly only: boolean;
    /** Absolute path of the list. Undefined: `schema/persisted-documents.json` of the package, if it is there. */
    readonly file: string | undefined;
  };
}

/** Executed documents; messages posted, edited and deleted; rooms made; members that come or change; uploads begun. */
export type RateKind = 'operations' | 'posts' | 'rooms' | 'joins' | 'uploads';

export interface Rate {
  readonly perPerson: number;
  /** Of all who come from one address. */
  readonly perAddress: number;
}

export interface RedisClusterConfig {
  /** Some of its nodes: the others are found through them. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** User, password and TLS are the same for all nodes. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
}

/** ClamAV's daemon. */
export interface ScannerPlace {
  readonly at: { readonly host: string; readonly port: number } | { readonly path: string };
  /** Milliseconds that it may take for anything that is waited for. */
  readonly timeoutMs: number;
}

/** A bucket; who may use it says the environment in the way of Amazon's tools (AWS_ACCESS_KEY_ID and others). */
export interface S3Place {
  readonly bucket: string;
  /** Address of a server that is not Amazon's. */
  readonly endpoint: string | undefined;
  /** Undefined: as AWS_REGION and the like say. */
  readonly region: string | undefined;
  /** What all keys begin with, perhaps nothing. */
  readonly prefix: string;
  /** The bucket stands in the path of addresses, not in their host. */
  readonly pathStyle: boolean;
  /** Downloads are sent there, instead of coming through this server. */
  readonly redirects: boolean;
}

export interface IdentityProvider {
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
}
