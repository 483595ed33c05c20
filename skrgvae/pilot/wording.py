"""The words of the report, in every language it speaks.

Names in braces are filled in by who uses the words; all languages have the same keys and names.
"""

from __future__ import annotations

ENGLISH = {
    "title": "Pilot report",
    "subtitle": "Do the features of a hierarchical sparse encoder pay on {data}, target {target}?",
    "features.raw": "raw columns",
    "features.pca": "PCA",
    "features.encoder": "encoder",
    "classifier.linear": "linear",
    "classifier.boosting": "boosting",
    "score.f1": "F1",
    "score.auc": "AUC",
    "score.balanced_accuracy": "balanced accuracy",
    "short.f1": "F1",
    "short.auc": "AUC",
    "short.balanced_accuracy": "bal. acc.",
    "short.brier": "Brier",
    "short.calibration_error": "calib.",
    "combination": "{features}, {classifier}",
    "labels.some": "{n} labels",
    "labels.all": "all {n} labels",
    # The verdict
    "verdict": "Verdict",
    "verdict.pays": "The features pay",
    "verdict.does_not_pay": "Not worth it: keep {reference}",
    "verdict.cannot_tell": "Can't tell",
    "badge.pays": "pays",
    "badge.does_not_pay": "does not pay",
    "badge.cannot_tell": "can't tell",
    "keep.raw": "the raw columns",
    "keep.pca": "PCA",
    "reason.gain": "With {labels}, the encoder's features gain {difference} of {score}: surely "
    "the {smallest} or more that is worth having.",
    "reason.no_gain": "At no number of labels do the encoder's features gain the {smallest} of "
    "{score} that is worth having. They are less good than the best without them, or as good.",
    "reason.wide": "The gain in {score} may be worth having ({smallest} or more), or may not: the "
    "folds of these data differ too much to tell.",
    "reason.chance": "No classifier is surely better than pure chance on these columns, so there "
    "is nothing that features could improve. The best AUC is {auc} above chance, with an interval "
    "from {low} to {high}.",
    "reason.leak": "Some columns may give the target away. Then all scores are too good, "
    "and say nothing about the features.",
    "compared": "With {labels}: encoder ({classifier}) {ours}, best without it ({reference}) "
    "{other}, difference {difference}, between {low} and {high}.",
    "next": "What to do next",
    "next.gain": "Run the full study without --quick, or with --search for better layer sizes; "
    "then confirm on rows that were not in this file.",
    "next.gain_full": "Confirm on rows that were not in this file, then put it to work.",
    "next.no_gain": "Stay with {reference} and the {classifier} classifier. Think of the encoder "
    "again when labels are much fewer than rows, or when other columns come in.",
    "next.wide": "Collect more labelled rows, or run the full study without --quick. Until then, "
    "{reference} with the {classifier} classifier is the simpler choice.",
    "next.chance": "Look for columns that have to do with the target, or for more rows of the "
    "rare class, before any choice of features.",
    "next.leak": "Leave these columns out and repeat the study:",
    # Data
    "data": "The data",
    "data.rows": "rows",
    "data.studied": "rows studied",
    "data.columns": "columns",
    "data.numeric": "numeric",
    "data.categorical": "categorical",
    "data.missing": "missing cells",
    "data.incomplete": "incomplete columns",
    "data.constant": "constant columns",
    "data.classes": "Classes",
    "data.positive": "The positive class is {positive}.",
    "data.drawn": "A quick look studies a draw of the rows that keeps the share of every class, "
    "and a few rows of the rarest.",
    "data.dropped": "Left out as asked",
    "data.set_aside": "Not studied",
    "data.identifier": "names or counts the rows",
    "data.empty": "has no values",
    "leaks": "Columns that give the target away",
    "leaks.alone": "{column} alone tells the classes apart: balanced accuracy {accuracy} on rows "
    "not seen.",
    "leaks.value": "{column} = {value}: all {n} such rows are of class {klass}.",
    "leaks.known": "{column} has a value in {n} rows, all of class {klass}.",
    "leaks.advice": "Is that known before the target is? If not, leave them out:",
    "leaks.none": "No column gives the target away.",
    # Comparison
    "comparison": "Do they pay?",
    "comparison.differences": "Encoder less the best without it, {score}. Bars are intervals that "
    "hold all together with {confidence} confidence; a gain counts from {smallest} on (shaded).",
    "comparison.curves": "{score} by the number of labelled rows, {classifier} classifier. Mean "
    "over {folds} folds.",
    "comparison.table": "With all labels",
    "comparison.few": "With {labels}",
    "comparison.note": "Higher is better, but for Brier and calibration error, where lower is. "
    "The best of each column is bold.",
    "axis.labels": "labelled rows",
    "axis.all": "all",
    "no_gain_line": "no gain",
    # Robustness
    "robustness": "When cells go missing or wrong",
    "robustness.missing": "Missing cells: {score} with the {classifier} classifier, trained on "
    "undamaged rows.",
    "robustness.wrong": "Wrong cells (values of other rows): {score} with the {classifier} "
    "classifier, trained on undamaged rows.",
    "axis.damage": "damaged cells at test time",
    # Cost
    "cost": "What it costs to run",
    "cost.features": "features",
    "cost.number": "number",
    "cost.fit": "fit",
    "cost.million": "a million rows",
    "cost.boosting": "classify",
    "cost.note": "Seconds on one thread of this machine ({processor}). Fit: on a fold's {n} "
    "training rows. A million rows: computing their features. Classify: what boosting takes for "
    "them on top of that. Both are extrapolated from fewer rows.",
    "seconds": "{n} s",
    # Money
    "value": "What it is worth",
    "value.text": "A true alarm for class {positive} gains {gain}, a false one costs {cost}. The "
    "threshold was chosen on training rows alone.",
    "value.difference": "Per thousand rows, the encoder's best ({ours}) brings {difference} "
    "against the best without it ({other}), between {low} and {high} with {confidence} "
    "confidence. An alarm on every row would bring {always}, none at all nothing.",
    "value.money": "per thousand rows",
    "value.alarms": "alarms",
    "value.precision": "true alarms",
    "value.recall": "found",
    # Units
    "units": "Which units matter, and what they stand for",
    "units.note": "Units of the first fold's encoder that the linear classifier leans on most: "
    "how much {score} falls when the unit's values are shuffled, the share of rows where it is "
    "on, and the columns it goes with (correlation in brackets).",
    "units.unit": "unit",
    "units.importance": "matters",
    "units.on": "on",
    "units.columns": "columns",
    # The encoder
    "encoder": "The encoder",
    "encoder.text": "Bound (ELBO) on rows not seen: {elbo} nats per row. Trained for {epochs} "
    "passes. Parameters: {parameters}.",
    "encoder.layer": "layer",
    "encoder.units": "units",
    "encoder.used": "used",
    "encoder.zeros": "exact zeros",
    "encoder.note": "Layer zero is next to the data. Means over the folds.",
    # Method
    "method": "How this was measured",
    "method.folds": "{repeats} times {splits}-fold cross-validation, stratified; seed {seed}. The "
    "encoder, PCA and the standardisation learned from a fold's training rows without labels, the "
    "classifiers from the labelled ones alone.",
    "method.classifiers": "Linear: logistic regression, its penalty chosen within the training "
    "rows. Boosting: gradient-boosted trees. Both give every class the same weight; "
    "probabilities are taken back to the classes' frequencies before calibration is judged.",
    "method.intervals": "Intervals: paired differences over the folds, corrected for the overlap "
    "of their training rows (Nadeau and Bengio, Inference for the Generalization Error).",
    "method.search": "Every fold searched its layer sizes by successive halving within its "
    "training rows: {sizes}.",
    "method.quick": "This was a quick look: short training.",
    "method.time": "The study took {seconds} s, with {versions}.",
}

JAPANESE = {
    "title": "パイロット評価レポート",
    "subtitle": "階層型スパースエンコーダの特徴量は有効か(データ: {data}、目的変数: {target})",
    "features.raw": "元の列",
    "features.pca": "主成分",
    "features.encoder": "エンコーダ",
    "classifier.linear": "線形",
    "classifier.boosting": "ブースティング",
    "score.f1": "F1",
    "score.auc": "AUC",
    "score.balanced_accuracy": "バランス正解率",
    "short.f1": "F1",
    "short.auc": "AUC",
    "short.balanced_accuracy": "均衡正解",
    "short.brier": "Brier",
    "short.calibration_error": "較正",
    "combination": "{features}・{classifier}",
    "labels.some": "ラベル{n}件",
    "labels.all": "全ラベル{n}件",
    # The verdict
    "verdict": "結論",
    "verdict.pays": "特徴量の導入効果あり",
    "verdict.does_not_pay": "導入効果なし:{reference}のままで十分",
    "verdict.cannot_tell": "判断できません",
    "badge.pays": "効果あり",
    "badge.does_not_pay": "効果なし",
    "badge.cannot_tell": "判断不能",
    "keep.raw": "元の列",
    "keep.pca": "主成分分析",
    "reason.gain": "{labels}のとき、エンコーダの特徴量により{score}が{difference}向上します。"
    "導入に値する最小の改善幅{smallest}を確実に上回ります。",
    "reason.no_gain": "どのラベル数でも、{score}の改善は導入に値する最小幅{smallest}に届きません。"
    "エンコーダを使わない最良の方法と同等か、それ以下です。",
    "reason.wide": "{score}の改善が導入に値する幅({smallest}以上)かどうか、"
    "分割ごとのばらつきが大きく判断できません。",
    "reason.chance": "どの分類器も偶然より確実に良いとは言えず、特徴量で改善できる余地が"
    "見当たりません。最良のAUCは偶然より{auc}高く、区間は{low}から{high}です。",
    "reason.leak": "目的変数を漏らしている疑いのある列があります。その場合、すべてのスコアは"
    "実際より良く、特徴量の良し悪しを示しません。",
    "compared": "{labels}:エンコーダ({classifier}){ours}、エンコーダなしの最良({reference})"
    "{other}、差{difference}、区間{low}から{high}。",
    "next": "次の一歩",
    "next.gain": "--quick を外した本評価、または層の大きさを探す --search を実行し、"
    "このファイルにない行で確認してください。",
    "next.gain_full": "このファイルにない行で確認したうえで、実運用に進んでください。",
    "next.no_gain": "{reference}と{classifier}分類器を使い続けてください。行数に比べてラベルが"
    "ごく少ない場合や、新しい列が加わった場合に、あらためて検討してください。",
    "next.wide": "ラベル付きの行を増やすか、--quick を外した本評価を実行してください。"
    "それまでは、より単純な{reference}と{classifier}分類器をお勧めします。",
    "next.chance": "特徴量を選ぶ前に、目的変数に関係する列や、少数クラスの行を集めてください。",
    "next.leak": "これらの列を除いて、評価をやり直してください:",
    # Data
    "data": "データ",
    "data.rows": "行数",
    "data.studied": "評価に使った行数",
    "data.columns": "列数",
    "data.numeric": "数値の列",
    "data.categorical": "カテゴリの列",
    "data.missing": "欠損セル",
    "data.incomplete": "欠損のある列",
    "data.constant": "値が一定の列",
    "data.classes": "クラス",
    "data.positive": "陽性クラスは{positive}です。",
    "data.drawn": "簡易評価では、クラスの比率を保ち、ごく少ないクラスも数行は残して"
    "抽出した行を使います。",
    "data.dropped": "指定により除いた列",
    "data.set_aside": "評価から除いた列",
    "data.identifier": "行の識別子または通し番号",
    "data.empty": "値がない",
    "leaks": "目的変数を漏らしている列",
    "leaks.alone": "{column}だけでクラスを判別できます(未知の行でのバランス正解率{accuracy})。",
    "leaks.value": "{column} = {value}の{n}行は、すべてクラス{klass}です。",
    "leaks.known": "{column}に値がある{n}行は、すべてクラス{klass}です。",
    "leaks.advice": "目的変数より前に分かる値でしょうか。そうでなければ除いてください:",
    "leaks.none": "目的変数を漏らしている列は見つかりません。",
    # Comparison
    "comparison": "効果はあるか",
    "comparison.differences": "エンコーダと、それを使わない最良の方法との{score}の差。"
    "棒は、全体として信頼度{confidence}で成り立つ区間です。改善は{smallest}から意味を持ちます(網掛け)。",
    "comparison.curves": "ラベル数と{score}({classifier}分類器、{folds}分割の平均)",
    "comparison.table": "すべてのラベルを使った場合",
    "comparison.few": "{labels}の場合",
    "comparison.note": "ブライアスコアと較正誤差は小さいほど、ほかは大きいほど良い値です。"
    "列ごとの最良値は太字です。",
    "axis.labels": "ラベル付きの行数",
    "axis.all": "全部",
    "no_gain_line": "差なし",
    # Robustness
    "robustness": "セルが欠けたり誤ったりした場合",
    "robustness.missing": "欠けたセル:{classifier}分類器の{score}(学習データは無傷)",
    "robustness.wrong": "誤ったセル(別の行の値):{classifier}分類器の{score}(学習データは無傷)",
    "axis.damage": "テスト時に壊れたセルの割合",
    # Cost
    "cost": "実行コスト",
    "cost.features": "特徴量",
    "cost.number": "個数",
    "cost.fit": "学習",
    "cost.million": "百万行の変換",
    "cost.boosting": "同・分類",
    "cost.note": "この計算機({processor})の単一スレッドでの秒数。学習は各分割の{n}行、"
    "百万行の変換は特徴量の計算、分類はブースティングによる追加分で、"
    "いずれも少ない行数からの換算です。",
    "seconds": "{n}秒",
    # Money
    "value": "金額に換算すると",
    "value.text": "クラス{positive}の正しい警報は{gain}の利益、誤った警報は{cost}の費用とします。"
    "しきい値は学習用の行だけで選びました。",
    "value.difference": "千行あたり、エンコーダの最良({ours})とエンコーダなしの最良({other})"
    "との差は{difference}、信頼度{confidence}で{low}から{high}です。"
    "全行に警報を出すと{always}、まったく出さなければゼロです。",
    "value.money": "千行あたり",
    "value.alarms": "警報",
    "value.precision": "的中率",
    "value.recall": "検出率",
    # Units
    "units": "重要なユニットとその意味",
    "units.note": "最初の分割のエンコーダで、線形分類器が最も頼っているユニット。"
    "値を並べ替えたときの{score}の低下、オンになる行の割合、連動する列(括弧内は相関)を示します。",
    "units.unit": "ユニット",
    "units.importance": "重要度",
    "units.on": "オン",
    "units.columns": "列",
    # The encoder
    "encoder": "エンコーダ",
    "encoder.text": "未知の行での下限(ELBO):一行あたり{elbo}ナット。学習は{epochs}周。"
    "パラメータ:{parameters}。",
    "encoder.layer": "層",
    "encoder.units": "ユニット",
    "encoder.used": "使用",
    "encoder.zeros": "厳密なゼロ",
    "encoder.note": "層ゼロがデータに最も近い層です。値は分割の平均です。",
    # Method
    "method": "測定方法",
    "method.folds": "層化{splits}分割交差検証を{repeats}回、乱数シード{seed}。エンコーダ、主成分、"
    "標準化は各分割の学習行からラベルなしで、分類器はラベル付きの行だけから学習しました。",
    "method.classifiers": "線形:ロジスティック回帰(正則化は学習行の中で選択)。ブースティング:"
    "勾配ブースティング木。どちらもクラスの重みを等しくし、較正の評価では確率を元の"
    "クラス比率に戻しています。",
    "method.intervals": "区間:分割ごとの対応のある差から求め、学習行の重なりを補正しています"
    "(Nadeau and Bengio, Inference for the Generalization Error)。",
    "method.search": "各分割の学習行の中で、逐次半減法により層の大きさを探しました:{sizes}。",
    "method.quick": "これは学習を短くした簡易評価です。",
    "method.time": "評価時間は{seconds}秒、環境は{versions}。",
}

LANGUAGES = {"en": ENGLISH, "ja": JAPANESE}
