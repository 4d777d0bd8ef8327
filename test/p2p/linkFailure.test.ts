import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isLinkFailure } from '#p2p/linkFailure.ts';

it('a stream that closed under the multiplexer is a lost link; anything else is our bug', () => {
  const from = (error: Error, place: string) => {
    const lines = [`${error.name}: ${error.message}`, `    at send (${place}:1:2)`, '    at ours'];
    error.stack = lines.join('\n');
    return error;
  };
  const closed = () => {
    const error = new Error('Cannot write to a stream that is closed');
    error.name = 'StreamStateError';
    return error;
  };
  assert.ok(isLinkFailure(from(closed(), 'file:///x/node_modules/@libp2p/utils/dist/src/a.js')));
  assert.ok(!isLinkFailure(from(closed(), 'file:///x/p2p/session.ts')), 'our own code threw it');
  const wrong = from(new TypeError('x'), 'file:///x/node_modules/@libp2p/utils/dist/src/a.js');
  assert.ok(!isLinkFailure(wrong));
  assert.ok(!isLinkFailure('text'));
});
