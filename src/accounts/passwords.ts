import { FairQueue, type FairQueueLimits } from '../async/fair-queue.js';
import { ParleyError } from '../errors.js';
import { PasswordHasher } from './password-hasher.js';

/** A hash takes some 20 ms: so much waits for seconds at most. */
const QUEUE: FairQueueLimits = { places: 1, placesPerKey: 1, waiting: 256, waitingPerKey: 64 };
const HASHES_A_SECOND = 40;

/** Of a password that is not known, with the parameters that all have. */
const DECOY =
  '$argon2id$v=19$m=19456,t=2,p=1$KTfr8gdsnrCL2Ml9bubWsQ$hBxNS4MBzKpFfUEDN7e/PJ+lQKu3ra0IV8yRx3KWMtw';

/** Hashes and checks passwords, apart from the threads that files need. */
export class Passwords {
  private readonly hasher = new PasswordHasher();
  private readonly queue: FairQueue;

  constructor(limits = QUEUE) {
    this.queue = new FairQueue(limits, (waiting) => {
      const retryAfter = 1 + Math.ceil(waiting / HASHES_A_SECOND);
      const message = `Too many passwords are being checked: try again in ${String(retryAfter)} s.`;
      return new ParleyError('RATE_LIMITED', message, { retryAfter });
    });
  }

  /**
   * Does what needs a hash when it is the turn of `key`: the key of the address that it comes from. One at a time. `prepare`: what is only
   * worth doing for those who get a turn. Throws RATE_LIMITED when too many wait.
   */
  inTurn<P, T>(key: string, prepare: () => Promise<P>, work: (prepared: P) => Promise<T>): Promise<T> {
    return this.queue.runPrepared(key, prepare, work);
  }

  hash(password: string): Promise<string> {
    return this.hasher.hash(password);
  }

  /** Whether the password fits. Without a stored hash it fails, and takes as long as with one. */
  async verify(stored: string | null | undefined, password: string): Promise<boolean> {
    const fits = await this.hasher.verify(stored ?? DECOY, password);
    return stored != null && fits;
  }

  close(): Promise<void> {
    return this.hasher.close();
  }
}
