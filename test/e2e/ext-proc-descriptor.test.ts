// The .proto of the tests, by whose numbers our codec is proved, against the descriptors that each real Envoy carries
// within itself: serialized FileDescriptorProtos (google/protobuf/descriptor.proto).
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FieldCursor } from '../../src/adapters/ext-proc/wire/field-cursor.ts';
import { protoFields } from '../support/ext-proc-oracle.ts';
import { describeEachEnvoy } from './support/envoy.ts';

/** Where the messages of test/support/ext-proc.proto come from. */
const files = [
  'envoy/service/ext_proc/v3/external_processor.proto',
  'envoy/extensions/filters/http/ext_proc/v3/processing_mode.proto',
  'envoy/config/core/v3/base.proto',
  'envoy/type/v3/http_status.proto',
  'google/protobuf/struct.proto',
  'google/protobuf/duration.proto',
];

/** Numbers of fields, by `Message.field`. */
type Numbers = Map<string, number>;

function textIn(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, end);
}

/** A FieldDescriptorProto: name 1, number 3. */
function addField(bytes: Buffer, message: string, cursor: FieldCursor, numbers: Numbers): void {
  const field = new FieldCursor(bytes, cursor.start, cursor.end);
  let [name, number] = ['', 0];
  while (field.next()) {
    if (field.isBytes(1)) name = textIn(bytes, field.start, field.end);
    else if (field.isVarint(3)) number = field.value;
  }
  numbers.set(`${message}.${name}`, number);
}

/** A DescriptorProto: name 1, fields 2. */
function addMessage(bytes: Buffer, cursor: FieldCursor, numbers: Numbers): void {
  const message = new FieldCursor(bytes, cursor.start, cursor.end);
  let name = '';
  while (message.next()) {
    if (message.isBytes(1)) name = textIn(bytes, message.start, message.end);
    else if (message.isBytes(2)) addField(bytes, name, message, numbers);
  }
}

/** A FileDescriptorProto begins with its name, and has messages in field 4. Its end is not told: whatever follows is none. */
function addFile(bytes: Buffer, path: string, numbers: Numbers): void {
  const name = Buffer.from(path);
  const mark = Buffer.concat([Buffer.from([0x0a, name.length]), name, Buffer.from([0x12])]);
  const start = bytes.indexOf(mark);
  if (start === -1) throw new Error(`Envoy has no descriptor of ${path}`);
  const file = new FieldCursor(bytes, start, start + 500_000);
  while (file.next() && file.number <= 12) if (file.isBytes(4)) addMessage(bytes, file, numbers);
}

describeEachEnvoy('field numbers', (binary) => {
  it('are those of Envoy itself', () => {
    const bytes = readFileSync(binary.path);
    const theirs: Numbers = new Map();
    for (const path of files) addFile(bytes, path, theirs);
    const ours = protoFields();
    expect(ours.size).toBeGreaterThan(60);
    expect([...ours].map(([name]) => [name, theirs.get(name)])).toEqual([...ours]);
  });
});
