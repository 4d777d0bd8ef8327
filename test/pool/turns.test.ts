import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turns } from '#src/pool/turns.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('turns of the event loop', { timeout: 10_000 }, () => {
  it('have room for so many each, and the rest goes in order', async () => {
    const turns = new Turns(2, 3);
    const done: number[] = [];
    for (let at = 0; at < 5; at++) {
      const later = turns.take();
      if (later === null) done.push(at);
      else void later.then(() => done.push(at));
    }
    assert.deepEqual(done, [0, 1]);
    assert.equal(turns.isBusy, true);
    await turn();
    assert.deepEqual(done, [0, 1, 2, 3]);
    assert.equal(turns.isBusy, false);
    await turn();
    assert.deepEqual(done, [0, 1, 2, 3, 4]);
    await turn();
    assert.equal(turns.take(), null, 'and then there is room at once');
  });

  it('let nobody in before those who wait', async () => {
    const turns = new Turns(1, 10);
    assert.equal(turns.take(), null);
    const first = turns.take();
    const second = turns.take();
    await first;
    assert.notEqual(turns.take(), null);
    await second;
  });
});
