import * as tus from 'tus-js-client';

/** What `createUpload { upload { id url token { token } } }` answers. */
export interface Upload {
  readonly url: string;
  readonly token: { readonly token: string };
}

/**
 * Sends the bytes, and goes on by itself where a connection broke. After a reload ask `createUpload` with the same key again, and call this with its answer: it
 * goes on behind what has arrived. Then `upload(id:)` and `fileAdded` tell what became of the file.
 */
export function send(file: tus.Upload['file'], { url, token }: Upload): Promise<void> {
  return new Promise((resolve, reject) => {
    new tus.Upload(file, {
      uploadUrl: url,
      headers: { authorization: `Bearer ${token.token}` },
      storeFingerprintForResuming: false,
      onSuccess: () => {
        resolve();
      },
      onError: reject,
    }).start();
  });
}
