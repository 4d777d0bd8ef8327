/** What is not as it should be. A `risk` counts; a `note` is a choice that somebody should know. */
export type Finding = {
  /** Stable, for `--accept` and for scripts. */
  readonly code: string;
  readonly level: 'risk' | 'note';
  /** The setting, file or figure that was looked at. */
  readonly what: string;
  readonly why: string;
  readonly fix: string;
};

type Words = { readonly what: string; readonly why: string; readonly fix: string };

export function risk(code: string, words: Words): Finding {
  return { code, level: 'risk', ...words };
}

export function note(code: string, words: Words): Finding {
  return { code, level: 'note', ...words };
}
