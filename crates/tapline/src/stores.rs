//! Several stores over the same pictures, as one list of taps.

use anyhow::bail;
use tapline_compare::Cost;
use tapline_core::{Dtype, FeatureSpace, Store, StoredListing, TapInfo, Views};
use tapline_report::{Backbone, Report, TapRow};

use crate::args::ComparedArgs;
use crate::comparison::Compared;
use crate::output::count;
use crate::{shards, taps};

/// Where a tap is: a tap of a store, or several of one store whose features are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Position among the stores.
    pub store: usize,
    /// Positions among the store's taps, in the order of their features.
    pub taps: Vec<usize>,
}

impl Place {
    /// Whether it is several taps.
    pub fn is_joined(&self) -> bool {
        self.taps.len() > 1
    }
}

/// Stores whose rows are the same pictures with the same labels.
pub struct Stores {
    /// The stores, as typed.
    pub stores: Vec<Store>,
    /// Where each tap of the report is.
    pub taps: Vec<Place>,
    backbones: Vec<Vec<usize>>,
}

impl Stores {
    /// Opens them with the taps that are joined, and refuses those that do not belong together.
    pub fn of(args: &ComparedArgs) -> anyhow::Result<Self> {
        let stores: Vec<Store> = args.stores.iter().map(|path| Store::open(path)).collect::<Result<_, _>>()?;
        stores.iter().for_each(shards::warn);
        for other in &stores[1..] {
            if let Some(difference) = difference(&stores[0], other) {
                bail!(
                    "{} and {} hold different pictures: {difference}; extract both from the same listing",
                    stores[0].dir().display(),
                    other.dir().display()
                );
            }
        }
        let mut backbones: Vec<Vec<usize>> = Vec::new();
        for (index, store) in stores.iter().enumerate() {
            // Whether features take two or four bytes is no other network.
            let space = |other: usize| FeatureSpace { dtype: Dtype::F32, ..stores[other].manifest().space.clone() };
            let same = |backbone: &&mut Vec<usize>| space(backbone[0]).difference(&space(index)).is_none();
            match backbones.iter_mut().find(same) {
                Some(backbone) => {
                    refuse_repeats(&stores, backbone, store)?;
                    backbone.push(index);
                }
                None => backbones.push(vec![index]),
            }
        }
        let joined = joined(&stores, &args.join)?;
        let taps = backbones.iter().flat_map(|backbone| taps_by_depth(&stores, backbone, &joined)).collect();
        Ok(Self { stores, taps, backbones })
    }

    /// The store of a tap of the report.
    pub fn store_of(&self, tap: usize) -> &Store {
        &self.stores[self.taps[tap].store]
    }

    /// What the store says of a tap of the report; none of joined taps.
    pub fn info(&self, tap: usize) -> Option<&TapInfo> {
        match self.taps[tap].taps[..] {
            [one] => Some(&self.store_of(tap).taps()[one].info),
            _ => None,
        }
    }

    /// The taps that a tap of the report is made of.
    pub fn infos(&self, tap: usize) -> Vec<TapInfo> {
        let taps = self.store_of(tap).taps();
        self.taps[tap].taps.iter().map(|&index| taps[index].info.clone()).collect()
    }

    /// What is typed for a tap of the report, such as `fire8@mean`.
    pub fn typed(&self, tap: usize) -> String {
        let names = self.infos(tap).into_iter().map(|info| format!("{}@{}", info.name, info.tap.pooling));
        names.collect::<Vec<_>>().join("+")
    }

    /// The listing they share.
    pub fn listing(&self) -> &StoredListing {
        self.stores[0].listing()
    }

    /// Rows that have features.
    pub fn good_rows(&self) -> Vec<usize> {
        (0..self.listing().rows()).filter(|&row| self.listing().skipped.get(row).is_none()).collect()
    }

    /// Which networks, on how many pictures.
    pub fn title(&self, pictures: usize) -> String {
        let names = self.names();
        let pictures = if pictures == 1 { "1 picture".to_owned() } else { format!("{} pictures", count(pictures)) };
        format!("{} on {pictures}", names.join(" and "))
    }

    /// Networks and taps, without scores.
    pub fn describe(&self) -> Report {
        let backbones = self.backbones.iter().zip(self.names()).map(|(stores, name)| self.backbone(stores, name));
        let taps = (0..self.taps.len()).map(|tap| {
            let infos = self.infos(tap);
            let deepest = deepest(&infos);
            TapRow {
                backbone: self.backbone_of(self.taps[tap].store),
                name: taps::names(&infos),
                pooling: taps::pooling(&infos),
                features: infos.iter().map(|info| info.features).sum(),
                cost_share: deepest.cost_share,
                classifier: deepest.classifier,
                joined: self.taps[tap].is_joined(),
                ..TapRow::default()
            }
        });
        let mut report = Report { backbones: backbones.collect(), taps: taps.collect(), ..Report::default() };
        for backbone in 0..report.backbones.len() {
            let is_stage = |&tap: &usize| {
                let row = &report.taps[tap];
                row.backbone == backbone && !row.classifier && !row.joined
            };
            let stages: Vec<usize> = (0..report.taps.len()).filter(is_stage).collect();
            let position = |&tap: &usize| deepest(&self.infos(tap)).position;
            let last = stages.iter().map(position).max();
            stages.into_iter().filter(|tap| Some(position(tap)) == last).for_each(|tap| report.taps[tap].top = true);
        }
        report
    }

    /// What a comparison must know of each tap.
    pub fn compared(&self) -> Vec<Compared> {
        let report = self.describe();
        let compared = |index: usize| {
            let (infos, row) = (self.infos(index), &report.taps[index]);
            let deepest = deepest(&infos);
            let views = self.store_of(index).manifest().space.views.count();
            Compared {
                name: report.tap_name(index),
                backbone: row.backbone,
                position: deepest.position,
                classifier: row.classifier,
                joined: row.joined,
                cost_share: row.cost_share,
                views,
                cost: Cost {
                    multiply_adds: deepest.multiply_adds.saturating_mul(views as u64),
                    features: row.features,
                },
            }
        };
        (0..self.taps.len()).map(compared).collect()
    }

    /// The views of each picture; none where the stores differ in them.
    pub fn views(&self) -> Option<Views> {
        let first = self.stores[0].manifest().space.views;
        self.stores.iter().all(|store| store.manifest().space.views == first).then_some(first)
    }

    fn backbone_of(&self, store: usize) -> usize {
        self.backbones.iter().position(|stores| stores.contains(&store)).expect("every store is of a backbone")
    }

    /// The networks' names, with their store where the name alone is not enough.
    pub fn names(&self) -> Vec<String> {
        let name = |stores: &Vec<usize>| &self.stores[stores[0]].manifest().space.model.name;
        let full = |stores: &Vec<usize>| match self.backbones.iter().filter(|other| name(other) == name(stores)).count()
        {
            1 => name(stores).clone(),
            _ => format!("{} in {}", name(stores), self.stores[stores[0]].dir().display()),
        };
        self.backbones.iter().map(full).collect()
    }

    fn backbone(&self, stores: &[usize], name: String) -> Backbone {
        let manifest = self.stores[stores[0]].manifest();
        let how = &manifest.space.preprocess;
        let dirs: Vec<String> = stores.iter().map(|&store| self.stores[store].dir().display().to_string()).collect();
        let preprocessing = format!(
            "{}, {} × {} pixels, {:?} filter, {:?} channels{}{}",
            how.resize,
            how.height,
            how.width,
            how.interpolation,
            how.channels,
            if manifest.space.decode.is_exact() { "" } else { ", JPEG scaled while decoding" },
            if manifest.space.bits.is_all() { String::new() } else { format!(", {} of 16 bits", manifest.space.bits) }
        );
        Backbone {
            name,
            sha256: manifest.space.model.sha256.to_string(),
            store: dirs.join(", "),
            preprocessing: preprocessing.to_lowercase(),
            computed: format!("{} on {}", manifest.run.runtime, manifest.run.device),
        }
    }
}

/// Taps of a network's stores from shallow to deep, each joined one after the deepest of its taps.
fn taps_by_depth(stores: &[Store], backbone: &[usize], joined: &[Place]) -> Vec<Place> {
    let all = |&store: &usize| (0..stores[store].taps().len()).map(move |tap| Place { store, taps: vec![tap] });
    let joined = joined.iter().filter(|place| backbone.contains(&place.store)).cloned();
    let mut taps: Vec<Place> = backbone.iter().flat_map(all).chain(joined).collect();
    let position = |place: &Place| place.taps.iter().map(|&tap| stores[place.store].taps()[tap].info.position).max();
    taps.sort_by_key(|place| (position(place), place.is_joined()));
    taps
}

/// The taps to join, in every store that has them.
fn joined(stores: &[Store], typed: &[String]) -> anyhow::Result<Vec<Place>> {
    let mut places = Vec::new();
    for one in typed {
        let before = places.len();
        let found: Vec<anyhow::Result<Vec<usize>>> = stores.iter().map(|store| taps::find(store, one)).collect();
        let mut refused = None;
        for (store, found) in found.into_iter().enumerate() {
            match found {
                Ok(taps) if taps.len() < 2 => {
                    bail!("--join {one} names one tap, which is compared without it: join several with +")
                }
                Ok(taps) => places.push(Place { store, taps }),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused.filter(|_| places.len() == before) {
            return Err(error.context(format!("--join {one}")));
        }
        if places[..before].iter().any(|place| places[before..].contains(place)) {
            bail!("--join {one} is there twice: give it once");
        }
    }
    Ok(places)
}

/// The one that takes most of the network.
fn deepest(taps: &[TapInfo]) -> &TapInfo {
    taps.iter().max_by_key(|tap| (tap.multiply_adds, tap.position)).expect("a tap is one or several")
}

fn refuse_repeats(stores: &[Store], backbone: &[usize], store: &Store) -> anyhow::Result<()> {
    for &other in backbone {
        let other = &stores[other];
        if let Some(tap) = store.taps().iter().find(|tap| other.tap_index(&tap.info.tap).is_some()) {
            bail!(
                "{} and {} both hold {}@{} of the same network: give one of them",
                other.dir().display(),
                store.dir().display(),
                tap.info.name,
                tap.info.tap.pooling
            );
        }
    }
    Ok(())
}

/// What tells the pictures of two stores apart; none if rows, bytes, labels and skipped pictures are the same.
fn difference(a: &Store, b: &Store) -> Option<String> {
    let (x, y) = (a.listing(), b.listing());
    if x.rows() != y.rows() {
        return Some(format!("{} in the one, {} in the other", count(x.rows()), count(y.rows())));
    }
    let row = (0..x.rows()).find(|&row| {
        x.path[row] != y.path[row]
            || x.sha256[row] != y.sha256[row]
            || x.label.get(row) != y.label.get(row)
            || x.split.get(row) != y.split.get(row)
            || x.skipped.get(row).is_some() != y.skipped.get(row).is_some()
    })?;
    let place = row + 1;
    if x.path[row] != y.path[row] {
        return Some(format!("row {place} is {} in the one, {} in the other", &x.path[row], &y.path[row]));
    }
    let what = if x.sha256[row] != y.sha256[row] {
        "has other bytes"
    } else if x.label.get(row) != y.label.get(row) {
        "has another label"
    } else if x.split.get(row) != y.split.get(row) {
        "is of another part of the split"
    } else {
        "is skipped in one alone"
    };
    Some(format!("{} (row {place}) {what}", &x.path[row]))
}
