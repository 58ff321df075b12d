//! The other direction, for tests: a value tree in both protocols.

use super::Protocol;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Thrift {
    Bool(bool),
    Byte(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Struct(Vec<(i16, Thrift)>),
    /// Elements are of one kind.
    List(Vec<Thrift>),
    /// Keys are of one kind, and so are values.
    Map(Vec<(Thrift, Thrift)>),
}

pub(crate) fn text(text: &str) -> Thrift {
    Thrift::Bytes(text.as_bytes().to_vec())
}

impl Thrift {
    fn code(&self, protocol: Protocol) -> u8 {
        let (binary, compact) = match self {
            Self::Bool(_) => (2, 1),
            Self::Byte(_) => (3, 3),
            Self::I16(_) => (6, 4),
            Self::I32(_) => (8, 5),
            Self::I64(_) => (10, 6),
            Self::Double(_) => (4, 7),
            Self::Bytes(_) => (11, 8),
            Self::Struct(_) => (12, 12),
            Self::List(_) => (15, 9),
            Self::Map(_) => (13, 11),
        };
        if protocol == Protocol::Binary { binary } else { compact }
    }

    pub(crate) fn encode(&self, protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(protocol, &mut out);
        out
    }

    /// A one-way call with these arguments.
    pub(crate) fn call(&self, protocol: Protocol, method: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if protocol == Protocol::Compact {
            out.extend([0x82, 4 << 5 | 1, 0]);
            varint(method.len() as u64, &mut out);
            out.extend(method.as_bytes());
        } else {
            out.extend(0x8001_0004_u32.to_be_bytes());
            text(method).write(protocol, &mut out);
            out.extend([0; 4]);
        }
        self.write(protocol, &mut out);
        out
    }

    fn write(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let compact = protocol == Protocol::Compact;
        match self {
            Self::Bool(truth) => out.push(if compact && !truth { 2 } else { u8::from(*truth) }),
            Self::Byte(n) => out.extend(n.to_be_bytes()),
            Self::I16(n) if compact => zigzag(i64::from(*n), out),
            Self::I32(n) if compact => zigzag(i64::from(*n), out),
            Self::I64(n) if compact => zigzag(*n, out),
            Self::I16(n) => out.extend(n.to_be_bytes()),
            Self::I32(n) => out.extend(n.to_be_bytes()),
            Self::I64(n) => out.extend(n.to_be_bytes()),
            Self::Double(n) if compact => out.extend(n.to_le_bytes()),
            Self::Double(n) => out.extend(n.to_be_bytes()),
            Self::Bytes(bytes) => {
                length(bytes.len(), protocol, out);
                out.extend(bytes);
            }
            Self::Struct(fields) => {
                let mut last = 0i16;
                for (number, value) in fields {
                    field(*number, last, value, protocol, out);
                    last = *number;
                }
                out.push(0);
            }
            Self::List(list) => {
                let code = list.first().map_or(3, |first| first.code(protocol));
                if !compact {
                    out.push(code);
                    length(list.len(), protocol, out);
                } else if list.len() < 15 {
                    out.push((list.len() as u8) << 4 | code);
                } else {
                    out.push(0xf0 | code);
                    length(list.len(), protocol, out);
                }
                for value in list {
                    value.write(protocol, out);
                }
            }
            Self::Map(pairs) => {
                let codes = pairs.first().map_or((3, 3), |(k, v)| (k.code(protocol), v.code(protocol)));
                if compact {
                    length(pairs.len(), protocol, out);
                    if !pairs.is_empty() {
                        out.push(codes.0 << 4 | codes.1);
                    }
                } else {
                    out.extend([codes.0, codes.1]);
                    length(pairs.len(), protocol, out);
                }
                for (key, value) in pairs {
                    key.write(protocol, out);
                    value.write(protocol, out);
                }
            }
        }
    }
}

fn field(number: i16, last: i16, value: &Thrift, protocol: Protocol, out: &mut Vec<u8>) {
    let mut code = value.code(protocol);
    if protocol == Protocol::Binary {
        out.push(code);
        out.extend(number.to_be_bytes());
        return value.write(protocol, out);
    }
    if let Thrift::Bool(truth) = value {
        code = if *truth { 1 } else { 2 };
    }
    match number.wrapping_sub(last) {
        delta @ 1..=15 => out.push((delta as u8) << 4 | code),
        _ => {
            out.push(code);
            zigzag(i64::from(number), out);
        }
    }
    if !matches!(value, Thrift::Bool(_)) {
        value.write(protocol, out);
    }
}

fn length(len: usize, protocol: Protocol, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Binary => out.extend((len as u32).to_be_bytes()),
        Protocol::Compact => varint(len as u64, out),
    }
}

fn zigzag(n: i64, out: &mut Vec<u8>) {
    varint((n << 1 ^ n >> 63) as u64, out);
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
