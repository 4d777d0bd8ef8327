import { readFileSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { EXIT, UserError } from '#src/lib/failure.ts';

/**
 * A password from a file, the environment (`MPBP_PASSWORD`) or a prompt on the terminal. Never from
 * an argument: arguments are in everybody's process list.
 */
export async function readPassword(options: {
  file: string | null;
  prompt: string;
  confirm?: boolean;
}): Promise<string> {
  if (options.file !== null) return readSecretFile(options.file).replace(/\r?\n$/, '');
  const fromEnvironment = process.env.MPBP_PASSWORD;
  if (fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment;
  if (!process.stdin.isTTY) {
    throw new UserError(
      EXIT.usage,
      'a password is needed: give --password-file, set MPBP_PASSWORD, or run in a terminal',
    );
  }
  const password = await ask(`${options.prompt}: `);
  if (password === '') throw new UserError(EXIT.usage, 'the password is empty');
  if (options.confirm && (await ask('once more: ')) !== password) {
    throw new UserError(EXIT.usage, 'the two passwords differ');
  }
  return password;
}

/** A file that only its owner can read. */
export function readSecretFile(path: string): string {
  let mode: number;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new UserError(EXIT.badData, `${path}: not a plain file`);
    mode = stat.mode;
    if ((mode & 0o077) !== 0) {
      throw new UserError(
        EXIT.permission,
        `${path}: others can read this file; make it private with: chmod 600 ${path}`,
      );
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as { code?: string };
    const exit = code === 'EACCES' ? EXIT.permission : EXIT.badData;
    throw new UserError(exit, `${path}: ${code === 'ENOENT' ? 'no such file' : code}`);
  }
}

/** A question to the person at the terminal; only `y` and `yes` are yes. */
export function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    terminal.on('close', () => resolve(false));
    terminal.question(`${question} [y/N] `, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()));
      terminal.close();
    });
  });
}

function ask(question: string): Promise<string> {
  // The terminal echoes through this stream, which swallows it.
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: mute, terminal: true });
  // After it, because until then the terminal echoes what is typed.
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    terminal.question('', (answer) => {
      process.stderr.write('\n');
      terminal.close();
      resolve(answer);
    });
    terminal.on('SIGINT', () => {
      terminal.close();
      reject(new UserError(EXIT.usage, 'cancelled'));
    });
  });
}
