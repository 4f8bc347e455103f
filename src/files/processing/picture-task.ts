import type { KeptSpec } from './variant-spec.js';

/** What the child is asked to do with the picture in the file `source`. */
export type PictureTask = {
  readonly source: string;
  /** Pixels that it may have. */
  readonly maxPixels: number;
} & (
  | { readonly kind: 'facts' }
  /** Writes it to the file `target`. */
  | { readonly kind: 'variant'; readonly target: string; readonly spec: KeptSpec }
  /** The same, of the size and format of a poster. */
  | { readonly kind: 'poster'; readonly target: string }
);

export interface PictureFacts {
  /** Pixels, as it is shown: turned as it says itself. */
  readonly width: number;
  readonly height: number;
  /** Base64. */
  readonly thumbhash: string;
}

export type PictureAnswer =
  | { readonly kind: 'facts'; readonly facts: PictureFacts }
  | { readonly kind: 'made' }
  /** The picture's fault. */
  | { readonly kind: 'unreadable'; readonly message: string }
  /** Ours: the file is not there, for example. */
  | { readonly kind: 'failed'; readonly message: string }
  /** This machine has no library for pictures. */
  | { readonly kind: 'away'; readonly message: string };
