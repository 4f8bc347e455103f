import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';

const ISSUER = 'https://identity.example.com';
const AUDIENCE = 'parley-of-example';

/** What a token claims, and how it is signed. `key`: by another one than the provider's newest. */
export interface Claims extends JWTPayload {
  readonly kid?: string | undefined;
  readonly alg?: string;
  readonly key?: CryptoKey;
  /** False: it has no end. */
  readonly expiresIn?: string | false;
}

/** An identity provider of this process: tells its public keys over HTTP and signs tokens. */
export class TestProvider implements AsyncDisposable {
  /** How often its keys were asked for. */
  asked = 0;
  /** Members of its key set. */
  keys: JWK[] = [];
  /** How it answers instead of telling its keys. */
  instead: ((res: ServerResponse) => void) | undefined;
  private newest:
    { readonly alg: string; readonly kid: string | undefined; readonly key: CryptoKey } | undefined;
  private readonly server = createServer((_req, res) => {
    this.asked += 1;
    if (this.instead !== undefined) this.instead(res);
    else res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: this.keys }));
  });

  static async start(): Promise<TestProvider> {
    const provider = new TestProvider();
    provider.server.listen(0, '127.0.0.1');
    await once(provider.server, 'listening');
    return provider;
  }

  /** What a server needs to accept its tokens. */
  get env(): { JWT_JWKS_URL: string; JWT_ISSUER: string; JWT_AUDIENCE: string } {
    const { port } = this.server.address() as AddressInfo;
    return {
      JWT_JWKS_URL: `http://127.0.0.1:${String(port)}/keys`,
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
    };
  }

  /** Makes another key, which signs from now on, and adds it to those that are told. Undefined `kid`: it has no name. */
  async addKey(kid?: string, alg = 'RS256', told: Partial<JWK> = {}): Promise<CryptoKey> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const named = kid === undefined ? {} : { kid };
    this.keys.push({ ...(await exportJWK(publicKey)), ...named, alg, use: 'sig', ...told });
    this.newest = { alg, kid, key: privateKey };
    return privateKey;
  }

  /** A token, good unless the claims make it bad. */
  async token({ expiresIn = '5m', ...claims }: Claims): Promise<string> {
    if (this.newest === undefined) throw new Error('it has no key');
    const { alg, kid, key, ...payload } = { ...this.newest, ...claims };
    const jwt = new SignJWT({ iss: ISSUER, aud: AUDIENCE, ...payload })
      .setProtectedHeader(kid === undefined ? { alg } : { alg, kid })
      .setIssuedAt();
    return (expiresIn === false ? jwt : jwt.setExpirationTime(expiresIn)).sign(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
