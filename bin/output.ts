/** What commands print: text for people, one JSON document for machines with `--json`. */
export type Output = {
  readonly json: boolean;
  /** `text` on a terminal or a pipe, `data` with `--json`. */
  result(data: unknown, text: string): void;
};

export function makeOutput(json: boolean): Output {
  return {
    json,
    result: (data, text) => {
      process.stdout.write(json ? `${JSON.stringify(data, bigintAsText)}\n` : `${text}\n`);
    },
  };
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Text from elsewhere, made safe for a terminal: no control characters, no direction marks. */
export function printable(text: string, charsMax = 256): string {
  const cut = [...text].slice(0, charsMax).join('');
  return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
