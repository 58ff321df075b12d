//! Random sequences of what happens to log files, and a model of what must come out.

use super::*;

#[derive(Debug, Clone)]
enum Deed {
    /// A whole record.
    Whole,
    /// A record in this many fragments, of standard error or not; the last one only if said.
    Pieces(u8, bool, bool),
    /// Half of a line's bytes now, the rest with the next line.
    Half,
    /// Renamed, and a new file made.
    Rotate,
    /// Copied, and then cut.
    CopyTruncate,
    /// The reader takes this many steps.
    Step(u8),
    Refuse,
    Restart,
    /// The reader ends, all rotated files but the newest are compressed, and it starts again.
    CompressedWhileDown,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Whole),
        3 => (1..4u8, any::<bool>(), any::<bool>()).prop_map(|(n, e, l)| Deed::Pieces(n, e, l)),
        2 => Just(Deed::Half),
        2 => Just(Deed::Rotate),
        2 => Just(Deed::CopyTruncate),
        3 => (1..3u8).prop_map(Deed::Step),
        1 => Just(Deed::Refuse),
        1 => Just(Deed::Restart),
        1 => Just(Deed::CompressedWhileDown),
    ]
}

/// The writer: what it has begun, and what a reader must get, of each output in its order.
#[derive(Default)]
struct Model {
    count: usize,
    rotations: usize,
    /// Rotations since the reader has looked, and whether a file was copied and cut by one of them.
    unseen: (usize, bool),
    open: [String; 2],
    half: Vec<u8>,
    expected: [Vec<String>; 2],
}

impl Model {
    fn piece(&mut self, world: &World, err: bool, last: bool) {
        self.finish_half(world);
        self.count += 1;
        let text = format!("<{}>", self.count);
        world.append(
            "0.log",
            &cri(if err { "stderr" } else { "stdout" }, if last { "F" } else { "P" }, &text),
        );
        let at = usize::from(err);
        self.open[at].push_str(&text);
        if last {
            self.expected[at].push(std::mem::take(&mut self.open[at]));
        }
    }

    fn finish_half(&mut self, world: &World) {
        if !self.half.is_empty() {
            world.append("0.log", &std::mem::take(&mut self.half));
        }
    }

    /// Of several files between two looks, one of them a copy, it cannot always be told which comes first: nothing would be
    /// lost, but the order would not be the writer's.
    fn seen(&mut self, world: &mut World, copies: bool) {
        let (rotations, copied) = self.unseen;
        if copied || (copies && rotations > 0) {
            world.now += TICK;
            world.tailer.watch(world.now);
            self.unseen = (0, false);
        }
        self.unseen.0 += 1;
        self.unseen.1 |= copies;
    }

    fn act(&mut self, world: &mut World, deed: &Deed) {
        match deed {
            Deed::Whole => self.piece(world, false, true),
            Deed::Pieces(pieces, err, last) => {
                for n in 1..=*pieces {
                    self.piece(world, *err, n == *pieces && *last);
                }
            }
            Deed::Half => {
                self.finish_half(world);
                self.count += 1;
                let text = format!("<{}>", self.count);
                let line = cri("stdout", "F", &text);
                let (now, later) = line.split_at(line.len() / 2);
                world.append("0.log", now);
                self.half = later.to_vec();
                self.open[0].push_str(&text);
                self.expected[0].push(std::mem::take(&mut self.open[0]));
            }
            Deed::Rotate => {
                if world.path("0.log").exists() {
                    // The runtime ends its line before it lets go of the file, though the file has its new name by then.
                    self.seen(world, false);
                    self.rotations += 1;
                    let rotated = format!("0.log.{:08}", self.rotations);
                    std::fs::rename(world.path("0.log"), world.path(&rotated)).unwrap();
                    let rest = std::mem::take(&mut self.half);
                    world.append(&rotated, &rest);
                    File::create(world.path("0.log")).unwrap();
                }
            }
            Deed::CopyTruncate => {
                if world.path("0.log").exists() {
                    self.finish_half(world);
                    self.seen(world, true);
                    self.rotations += 1;
                    let copy = world.path(&format!("0.log.{:08}", self.rotations));
                    std::fs::copy(world.path("0.log"), copy).unwrap();
                    File::create(world.path("0.log")).unwrap();
                }
            }
            Deed::Step(times) => {
                for _ in 0..*times {
                    world.step();
                }
            }
            Deed::Refuse => world.refusing = !world.refusing,
            Deed::Restart => world.restart(),
            Deed::CompressedWhileDown => {
                for n in 1..self.rotations {
                    let plain = world.path(&format!("0.log.{n:08}"));
                    if let Ok(bytes) = std::fs::read(&plain) {
                        let packed = File::create(plain.with_extension(format!("{n:08}.gz"))).unwrap();
                        let mut packed = GzEncoder::new(packed, Compression::fast());
                        packed.write_all(&bytes).unwrap();
                        packed.finish().unwrap();
                        std::fs::remove_file(plain).unwrap();
                    }
                }
                world.restart();
            }
        }
    }
}

/// Runs deeds, and compares what came out, line by line and for each output, with what was written.
fn all_comes_once(deeds: &[Deed], stages: &[StageConfig]) -> Result<(), TestCaseError> {
    let mut world = World::new(1024);
    world.options.files[0].pipeline = Pipeline::new(stages).unwrap();
    world.restart();
    let mut model = Model::default();
    // A first line, so that a position exists before the first rotation: what was rotated before a reader ever ran is not its business.
    model.piece(&world, false, true);
    world.settle();
    for deed in deeds {
        model.act(&mut world, deed);
    }
    model.finish_half(&world);
    world.settle();
    for (stream, expected) in ["stdout", "stderr"].iter().zip(&model.expected) {
        let mut got = Vec::new();
        for batch in &world.taken {
            for row in &batch.logs.rows {
                if batch.logs.record(row).labels.get("stream") == Some(stream) {
                    let text = String::from_utf8(batch.logs.line(row).to_vec()).unwrap();
                    got.extend(text.split('\n').map(str::to_owned));
                }
            }
        }
        prop_assert_eq!(&got, expected, "{}", stream);
    }
    if model.open.iter().all(String::is_empty) && stages.is_empty() {
        prop_assert_eq!(world.counters.behind(), 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn nothing_is_lost_nothing_doubled_and_order_kept(deeds in prop::collection::vec(deed(), 1..60)) {
        all_comes_once(&deeds, &[])?;
    }

    #[test]
    fn the_same_holds_when_stages_hold_lines_back(deeds in prop::collection::vec(deed(), 1..60)) {
        all_comes_once(&deeds, &joined())?;
    }
}
