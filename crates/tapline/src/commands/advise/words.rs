//! The advice as text.

use super::amount::{self, Amount};
use super::likeness::{self, Likeness};
use super::recipes::{self, Recommended};
use super::{Advice, Found};
use crate::comparison::p_text;
use crate::control::sentence;
use crate::output::{count, counted, percent, points};

/// Letters of a line.
const WIDTH: usize = 100;

pub fn render(advice: &Advice) -> String {
    let found = &advice.found;
    let mut text = format!("{}\n\nField of the table: {}\n", advice.heading, cell(found));
    for recipe in &found.recipes {
        let today = if recipe.supported { "Tapline does this today" } else { "Tapline does not do this yet" };
        let which = if found.recipes.len() > 1 {
            format!("{}, {}: ", amount_words(recipe.data), likeness_words(recipe.similarity))
        } else {
            String::new()
        };
        text += &item(&format!("{which}{} ({today}).", recipe.text));
    }
    if found.recipes.iter().all(|recipe| !recipe.supported) {
        text += &item("Until then a linear classifier on the layer below is the baseline to beat.");
    }
    for (heading, lines) in evidence(found) {
        text += &format!("\n{heading}\n");
        lines.iter().for_each(|line| text += &item(line));
    }
    text += &control(advice);
    if !advice.warnings.is_empty() {
        text += "\nWarnings:\n";
        advice.warnings.iter().for_each(|warning| text += &item(warning));
    }
    text += "\nNext:\n";
    advice.next.iter().for_each(|command| text += &format!("  {command}\n"));
    text + &advice.left_out.sentence()
}

/// The same for the page of a report.
pub fn field(found: &Found) -> tapline_report::Field {
    let cells = [amount::Reading::Little, amount::Reading::ALot]
        .map(|data| [likeness::Reading::Similar, likeness::Reading::Different].map(|similarity| (data, similarity)));
    let is_mine =
        |(data, similarity)| found.recipes.iter().any(|recipe| recipe.data == data && recipe.similarity == similarity);
    let text = |(data, similarity)| {
        let recipes = recipes::of_cell(data, similarity);
        recipes.first().map_or(String::new(), |recipe| {
            format!("{}{}", recipe.text, if recipe.supported { "" } else { " (not yet done by Tapline)" })
        })
    };
    let mut evidence = evidence(found);
    if found.recommended.is_some() && found.recipes.iter().all(|recipe| !recipe.supported) {
        evidence[0].1.push("Until Tapline finetunes, a linear classifier on it is the baseline to beat.".to_owned());
    }
    tapline_report::Field {
        sentence: cell(found),
        may_be: cells.map(|row| row.map(is_mine)),
        recipes: cells.map(|row| row.map(text)),
        evidence,
    }
}

/// The layer to use and both axes, each with a heading.
fn evidence(found: &Found) -> Vec<(String, Vec<String>)> {
    let amount_of = (format!("How much data: {}", amount_words(found.data.reading)), amount(&found.data));
    let mut parts = vec![layer(found), amount_of];
    parts.extend(found.evidence.iter().map(|network| {
        let reading = likeness_words(network.reading);
        (format!("How similar, seen by {}: {reading}", network.model), likeness(network))
    }));
    parts
}

/// What probes on shuffled labels found, where that was asked for.
fn control(advice: &Advice) -> String {
    let controls: Vec<_> = advice.controls.iter().collect();
    match sentence(&controls) {
        found if found.is_empty() => found,
        found => format!("\n{found}"),
    }
}

/// The field of the table in a sentence; where it is not certain, the fields it may be are to follow.
fn cell(found: &Found) -> String {
    let (data, similarity) = (amount_words(found.data.reading), likeness_words(found.similarity));
    match (found.data.reading, found.similarity) {
        (amount::Reading::Uncertain, likeness::Reading::Uncertain) => "uncertain on both axes, so any of".to_owned(),
        (amount::Reading::Uncertain, _) => format!("{similarity}; how much data is uncertain, so one of"),
        (_, likeness::Reading::Uncertain) => format!("{data}; how similar is uncertain, so one of"),
        _ => format!("{data}, {similarity}"),
    }
}

fn amount_words(reading: amount::Reading) -> &'static str {
    match reading {
        amount::Reading::Little => "little data",
        amount::Reading::ALot => "quite a lot of data",
        amount::Reading::Uncertain => "uncertain",
    }
}

fn likeness_words(reading: likeness::Reading) -> &'static str {
    match reading {
        likeness::Reading::Similar => "similar to the pretraining set",
        likeness::Reading::Different => "very different from the pretraining set",
        likeness::Reading::Uncertain => "uncertain",
    }
}

fn layer(found: &Found) -> (String, Vec<String>) {
    let (guess, p) = (found.guess, found.guess_p);
    let Some(found) = &found.recommended else {
        let why = format!("no tap is significantly better than {guess} (p = {})", p_text(p));
        return (format!("Layer: none can be recommended: {why}."), Vec::new());
    };
    let Recommended { name, best, .. } = found;
    let what = format!(
        "{} % of the pictures right, with {} % of the network's arithmetic ({} multiply-adds) and {}.",
        percent(found.accuracy),
        percent(found.cost_share),
        millions(found.multiply_adds),
        counted(found.features, "feature")
    );
    let against = match (name == best, &found.cheaper) {
        (true, None) => "It is the best of all, and none cheaper is as good.".to_owned(),
        (true, Some(_)) => "It is the best of all.".to_owned(),
        (false, _) => format!(
            "The best, {best}, has {} % right: {}, for more arithmetic.",
            percent(found.best_accuracy),
            interval(found.loss, " more", found.loss_interval)
        ),
    };
    let cheaper = found.cheaper.as_ref().map(|cheaper| {
        format!(
            "Cheaper and not shown to be worse: {}, with {} % of its network's arithmetic ({} multiply-adds). It loses {} \
             against the best, so that more than {} points are not ruled out; tapline advise --max-loss 100 names it.",
            cheaper.name,
            percent(cheaper.cost_share),
            millions(cheaper.multiply_adds),
            interval(cheaper.loss, "", cheaper.loss_interval),
            points(found.max_loss)
        )
    });
    let part = if found.classifier { ", of the network's own classifier" } else { "" };
    (format!("Layer: {name}{part}"), [what, against].into_iter().chain(cheaper).collect())
}

/// `63 million`.
fn millions(multiply_adds: u64) -> String {
    format!("{} million", count((multiply_adds as f64 / 1e6).round() as usize))
}

/// `1.0 points more (95 % interval -0.3 to 2.2)`.
fn interval(loss: f64, which: &str, (low, high): (f64, f64)) -> String {
    format!("{} points{which} (95 % interval {} to {})", points(loss), points(low), points(high))
}

fn amount(data: &Amount) -> Vec<String> {
    let pictures = match data.median_class == data.smallest_class {
        true => format!("The median class has {}.", counted(data.median_class, "picture")),
        false => format!(
            "The median class has {}, the smallest {}.",
            counted(data.median_class, "picture"),
            count(data.smallest_class)
        ),
    };
    let slope = match data.slope {
        Some(amount::Slope::Steep) => " More pictures still help a linear classifier.",
        Some(amount::Slope::Flat) => " A linear classifier hardly learns from more: a larger model might.",
        _ => "",
    };
    vec![pictures, format!("At {}: {}{slope}", data.tap, lower_first(&data.sentence))]
}

fn likeness(network: &Likeness) -> Vec<String> {
    vec![curve(network), head(network), norms(network)]
}

fn curve(network: &Likeness) -> String {
    let (Some(top), Some(name)) = (&network.top, &network.top_name) else {
        return "Layer curve: uncertain; it takes a stage below the top one (--taps stages).".to_owned();
    };
    let points = format!("{:.1} points", 100.0 * top.ahead.abs());
    let against = match top.ahead {
        ahead if ahead > 0.0 => {
            format!("the top layer, {name}, is {points} behind a stage below it (p = {})", p_text(top.p))
        }
        ahead if ahead < 0.0 => format!("the top layer, {name}, is {points} ahead of all stages below it"),
        _ => format!("the top layer, {name}, has as many right as the best stage below it"),
    };
    let middle = match (&network.middle, network.middle_behind) {
        (Some(middle), true) => {
            format!(", and the middle of the network, {middle}, is significantly worse than its best")
        }
        (Some(middle), false) => {
            format!(", and the middle of the network, {middle}, is not significantly worse than its best")
        }
        (None, _) => String::new(),
    };
    format!("Layer curve: {}; {against}{middle}.", likeness_words(network.curve))
}

fn head(network: &Likeness) -> String {
    let Some(found) = &network.answers else {
        return "Its own classifier: uncertain; the store has no tap of it, or no card says which it is.".to_owned();
    };
    let energy = found.energy.map_or(String::new(), |energy| format!(", mean energy {energy:.1}"));
    format!(
        "Its own classifier: {}; it is {} % sure of these pictures on average ({}{energy}).",
        likeness_words(network.head),
        percent(found.confidence),
        found.tap
    )
}

fn norms(network: &Likeness) -> String {
    match (&network.shift, &network.no_shift) {
        (Some(found), _) => format!(
            "Batch norms: {}; channel means lie {:.2} standard deviations from those of the pretraining set (median over {}).",
            likeness_words(network.norms),
            found.median,
            counted(found.taps.len(), "tap")
        ),
        (None, reason) => format!("Batch norms: uncertain; {}.", reason.as_deref().unwrap_or("they cannot be read")),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// An item of a list, its lines broken between words.
fn item(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), "  -".to_owned());
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 4 {
            lines += &(line + "\n");
            line = "   ".to_owned();
        }
        line += " ";
        line += word;
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_items_are_broken_between_words() {
        let text = item(&"word ".repeat(40));
        assert!(text.starts_with("  - word") && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
    }
}
