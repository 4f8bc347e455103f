import { ParleyError } from '../errors.js';
import { FairQueue, type QueueBounds } from './fair-queue.js';
import { PasswordHasher } from './password-hasher.js';

/** A hash takes some 20 ms of one thread: so much waits for seconds at most. */
const QUEUE: QueueBounds = { total: 256, perKey: 64 };
const HASHES_A_SECOND = 40;

/** Of a password that is not known, with the parameters that all have. */
export const DECOY =
  '$argon2id$v=19$m=19456,t=2,p=1$KTfr8gdsnrCL2Ml9bubWsQ$hBxNS4MBzKpFfUEDN7e/PJ+lQKu3ra0IV8yRx3KWMtw';

/**
 * Hashes and checks passwords, one at a time, apart from the threads that files need. `key`: who asks, that is the key of their address; they
 * take turns. Both throw RATE_LIMITED when too many wait.
 */
export class Passwords {
  private readonly hasher = new PasswordHasher();
  private readonly queue = new FairQueue(QUEUE, (waiting) => {
    const retryAfter = 1 + Math.ceil(waiting / HASHES_A_SECOND);
    return new ParleyError(
      'RATE_LIMITED',
      `Too many passwords are being checked: try again in ${String(retryAfter)} s.`,
      { retryAfter },
    );
  });

  hash(password: string, key: string): Promise<string> {
    return this.queue.run(key, () => this.hasher.hash(password));
  }

  /** Whether the password fits. Without a stored hash it fails, and takes as long as with one. */
  async verify(stored: string | null | undefined, password: string, key: string): Promise<boolean> {
    const fits = await this.queue.run(key, () => this.hasher.verify(stored ?? DECOY, password));
    return stored != null && fits;
  }

  close(): Promise<void> {
    return this.hasher.close();
  }
}
