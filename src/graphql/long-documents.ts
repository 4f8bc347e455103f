import type { ParseOptions, Source } from 'graphql';
import type { Plugin } from 'graphql-yoga';

type Parse = (source: string | Source, options?: ParseOptions) => unknown;

/** Beyond either, errors do not say where in the document they are. */
const MAX_CHARACTERS = 32 * 1024;
const MAX_LINES = 1000;

/**
 * Leaves the places of nodes out of long documents. For each error graphql-js counts the lines from the beginning of its document: behind a
 * megabyte of line breaks that takes 30 ms an error, and an answer may have thousands.
 */
export const useLongDocuments = (): Plugin => ({
  onParse: ({ parseFn, setParseFn }) => {
    const parse = parseFn as Parse;
    const parseLong: Parse = (source, options) => {
      const isPlaced = !isLong(typeof source === 'string' ? source : source.body);
      return parse(source, isPlaced ? options : { ...options, noLocation: true });
    };
    setParseFn(parseLong);
  },
});

const isLong = (text: string): boolean =>
  text.length > MAX_CHARACTERS || (text.match(/[\n\r]/g)?.length ?? 0) >= MAX_LINES;
