import { destination, pino, type Logger } from 'pino';
import type { Config } from '../config/config.js';

export type { Logger } from 'pino';

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
    destination({ fd: 2, sync: false }),
  );
}
