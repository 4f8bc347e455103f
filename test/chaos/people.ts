import { Session } from 'parley/client';
import { Client, PASSWORD } from '../support/client.js';

/** A user of the cluster, whose access token is always fresh. */
export interface Person {
  readonly userId: string;
  readonly session: Session;
}

const SIGN_UP = `mutation ($input: SignUpInput!) { signUp(input: $input) {
  accessToken accessTokenExpiresAt refreshToken user { id } } }`;

export async function makePerson(url: string, handle: string): Promise<Person> {
  const { signUp } = await new Client(url).run(SIGN_UP, {
    input: { email: `${handle}@example.com`, password: PASSWORD, handle, name: handle },
  });
  const session = new Session(`${url}/graphql`);
  session.set(signUp);
  return { userId: signUp.user.id, session };
}
