import { hash, verify } from '@node-rs/argon2';

/**
 * argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane), on libuv's thread pool.
 * https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
 */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export const hashPassword = (password: string): Promise<string> => hash(password, PARAMETERS);

let decoy: Promise<string> | undefined;

/** Whether the password fits. Without a stored hash it fails, and takes as long as with one. */
export async function verifyPassword(stored: string | null | undefined, password: string): Promise<boolean> {
  decoy ??= hashPassword('no password has this hash');
  const fits = await verify(stored ?? (await decoy), password);
  return stored != null && fits;
}

/** Makes the decoy before the first sign-in needs it, or its making would tell an unknown e-mail by time. */
export async function preparePasswords(): Promise<void> {
  await verifyPassword(undefined, '');
}
