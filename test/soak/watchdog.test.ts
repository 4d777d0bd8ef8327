import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const limits = { turnMs: 50, stallWarnMs: 300, stallEndMs: 1_000, lastWordsMs: 1_000 };

/** A process with a watchdog of one second that does this after a moment. */
function hang(what: string): Promise<{ code: number | null; signal: string | null; text: string }> {
  const source = `
    import { execSync } from 'node:child_process';
    import { startWatchdog } from './bin/watchdog.ts';
    const say = (event, fields) => console.log(event, fields);
    startWatchdog({ warn: say, error: say }, ${JSON.stringify(limits)});
    setTimeout(function hangs() { ${what} }, 300);
    setTimeout(() => process.exit(0), 3500);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: root,
    timeout: 20_000,
    killSignal: 'SIGTERM',
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
  }
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, text }));
    // A machine that slept, as far as the process can tell.
    child.stdout.on('data', (bytes: Buffer) => {
      if (!bytes.toString().includes('pause me')) return;
      setTimeout(() => child.kill('SIGSTOP'), 50);
      setTimeout(() => child.kill('SIGCONT'), 2_050);
    });
  });
}

/** In the middle of a turn, which goes on for a moment afterwards. */
const paused = `
  console.log('pause me');
  let last = performance.now();
  for (let until = last + 400; last < until; ) {
    const now = performance.now();
    if (now - last > 1500) until = now + 300;
    last = now;
  }`;

describe('the watchdog', { timeout: 60_000 }, () => {
  const cases = [
    { when: 'a loop never ends', what: 'for (;;);', code: 71 },
    {
      when: 'a wait never ends',
      code: 71,
      what: 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);',
    },
    {
      when: 'promises follow promises',
      what: 'const on = () => Promise.resolve().then(on); on();',
      code: 71,
    },
  ];
  for (const { when, what, code } of cases) {
    it(`ends the process with ${code} where ${when}, and says where`, async () => {
      const end = await hang(what);
      assert.equal(end.code, code, end.text);
      assert.match(end.text, /no turn of the event loop for 1000 ms/);
      assert.match(end.text, /at (Timeout\.hangs|on|new Promise|Promise)/);
    });
  }

  it('kills it where it hangs in a system call and cannot speak', async () => {
    const { signal } = await hang(`execSync('sleep 3');`);
    assert.equal(signal, 'SIGKILL');
  });

  it('leaves a process that was paused as a whole', async () => {
    const { code, text } = await hang(paused);
    assert.equal(code, 0, text);
    assert.match(text, /event loop stalled/);
  });

  it('leaves a process that is slow', async () => {
    const slow =
      'setInterval(() => { const to = Date.now() + 400; while (Date.now() < to); }, 10);';
    assert.equal((await hang(slow)).code, 0);
  });
});
