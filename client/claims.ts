/** What an access token says of itself. The server checks tokens; here nothing does. */
export interface Claims {
  /** The user. */
  readonly sub?: string;
  /** The sign-in. */
  readonly sid?: string;
  /** Its end, in seconds since 1970. */
  readonly exp?: number;
}

/** Reads a JSON Web Token; what cannot be read says nothing. */
export function claimsOf(token: string | undefined): Claims {
  try {
    const payload = token?.split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? '';
    const { sub, sid, exp } = JSON.parse(atob(payload)) as Record<string, unknown>;
    return {
      ...(typeof sub === 'string' && { sub }),
      ...(typeof sid === 'string' && { sid }),
      ...(typeof exp === 'number' && { exp }),
    };
  } catch {
    return {};
  }
}
