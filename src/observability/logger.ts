import { destination, pino, type Logger } from 'pino';
import type { Config } from '../config/config.js';

export type { Logger } from 'pino';

/** Processes share standard error: what is written to a pipe by one call of so many bytes at most comes out in one piece (POSIX). */
const WHOLE_BYTES = 4096;

/** JSON lines on standard error; standard output is left to the ready line. Credentials are cut out wherever they appear. */
export function createLogger(level: Config['logLevel']): Logger {
  return pino(
    {
      level,
      redact: {
        paths: ['*.authorization', '*.password', '*.token', '*.accessToken', '*.refreshToken', '*.cookie'],
        censor: '[redacted]',
      },
    },
    destination({ fd: 2, sync: false, maxWrite: WHOLE_BYTES }),
  );
}
