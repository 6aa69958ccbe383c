"""List the references that ``TaskSpec.citation`` names, as BibTeX, without venues."""

from __future__ import annotations

# key -> (authors by surname, title); the year is in the key.
REFERENCES: dict[str, tuple[str, str]] = {
    "asher2016stac": (
        "Asher, Hunter, Morey, Benamara, Afantenos",
        "Discourse Structure and Dialogue Acts in Multiparty Dialogue: the STAC Corpus",
    ),
    "barbieri2018emoji": (
        "Barbieri, Camacho-Collados, Ronzano, Espinosa-Anke, Ballesteros, Basile, Patti, Saggion",
        "SemEval 2018 Task 2: Multilingual Emoji Prediction",
    ),
    "basile2019hate": (
        "Basile, Bosco, Fersini, Nozza, Patti, Rangel Pardo, Rosso, Sanguinetti",
        "SemEval-2019 Task 5: Multilingual Detection of Hate Speech Against Immigrants and Women in Twitter",
    ),
    "bowman2015snli": (
        "Bowman, Angeli, Potts, Manning",
        "A large annotated corpus for learning natural language inference",
    ),
    "buechel2017emobank": (
        "Buechel, Hahn",
        "EmoBank: Studying the Impact of Annotation Perspective and Representation Format on Dimensional Emotion "
        "Analysis",
    ),
    "carlile2018persuasiveness": (
        "Carlile, Gurrapadi, Ke, Ng",
        "Give Me More Feedback: Annotating Argument Persuasiveness and Related Attributes in Student Essays",
    ),
    "chakravarthi2020hopeedi": (
        "Chakravarthi",
        "HopeEDI: A Multilingual Hope Speech Detection Dataset for Equality, Diversity, and Inclusion",
    ),
    "chatterjee2019emocontext": (
        "Chatterjee, Narahari, Joshi, Agrawal",
        "SemEval-2019 Task 3: EmoContext Contextual Emotion Detection in Text",
    ),
    "clark2019boolq": (
        "Clark, Lee, Chang, Kwiatkowski, Collins, Toutanova",
        "BoolQ: Exploring the Surprising Difficulty of Natural Yes/No Questions",
    ),
    "conneau2018probing": (
        "Conneau, Kruszewski, Lample, Barrault, Baroni",
        "What you can cram into a single vector: Probing sentence embeddings for linguistic properties",
    ),
    "coucke2018snips": (
        "Coucke, others",
        "Snips Voice Platform: an embedded Spoken Language Understanding system for private-by-design voice interfaces",
    ),
    "dagan2006rte": ("Dagan, Glickman, Magnini", "The PASCAL Recognising Textual Entailment Challenge"),
    "demarneffe2019cb": (
        "de Marneffe, Simons, Tonhauser",
        "The CommitmentBank: Investigating projection in naturally occurring discourse",
    ),
    "deyoung2020eraser": (
        "DeYoung, Jain, Rajani, Lehman, Xiong, Socher, Wallace",
        "ERASER: A Benchmark to Evaluate Rationalized NLP Models",
    ),
    "dolan2005mrpc": ("Dolan, Brockett", "Automatically Constructing a Corpus of Sentential Paraphrases"),
    "ferreira2016emergent": ("Ferreira, Vlachos", "Emergent: a novel data-set for stance classification"),
    "gibert2018hate": (
        "de Gibert, Perez, Garc{\\'i}a-Pablos, Cuadros",
        "Hate Speech Dataset from a White Supremacy Forum",
    ),
    "godfrey1992switchboard": (
        "Godfrey, Holliman, McDaniel",
        "SWITCHBOARD: Telephone speech corpus for research and development",
    ),
    "gurulingappa2012ade": (
        "Gurulingappa, Rajput, Roberts, Fluck, Hofmann-Apitius, Toldo",
        "Development of a benchmark corpus to support the automatic extraction of drug-related adverse effects from "
        "medical case reports",
    ),
    "hendrycks2021ethics": (
        "Hendrycks, Burns, Basart, Critch, Li, Song, Steinhardt",
        "Aligning AI With Shared Human Values",
    ),
    "iyer2017qqp": ("Iyer, Dandekar, Csernai", "First Quora Dataset Release: Question Pairs"),
    "jiang2020hover": (
        "Jiang, Bordia, Zhong, Dognin, Singh, Bansal",
        "HoVer: A Dataset for Many-Hop Fact Extraction And Claim Verification",
    ),
    "jurczyk2016selqa": ("Jurczyk, Zhai, Choi", "SelQA: A New Benchmark for Selection-based Question Answering"),
    "khot2018scitail": (
        "Khot, Sabharwal, Clark",
        "SciTaiL: A Textual Entailment Dataset from Science Question Answering",
    ),
    "kotonya2020pubhealth": ("Kotonya, Toni", "Explainable Automated Fact-Checking for Public Health Claims"),
    "lahiri2015squinky": (
        "Lahiri",
        "SQUINKY! A Corpus of Sentence-level Formality, Informativeness, and Implicature",
    ),
    "levesque2012winograd": ("Levesque, Davis, Morgenstern", "The Winograd Schema Challenge"),
    "li2002trec": ("Li, Roth", "Learning Question Classifiers"),
    "maas2011imdb": ("Maas, Daly, Pham, Huang, Ng, Potts", "Learning Word Vectors for Sentiment Analysis"),
    "marelli2014sick": (
        "Marelli, Menini, Baroni, Bentivogli, Bernardi, Zamparelli",
        "A SICK cure for the evaluation of compositional distributional semantic models",
    ),
    "mccoy2019hans": (
        "McCoy, Pavlick, Linzen",
        "Right for the Wrong Reasons: Diagnosing Syntactic Heuristics in Natural Language Inference",
    ),
    "mohammad2016stance": (
        "Mohammad, Kiritchenko, Sobhani, Zhu, Cherry",
        "SemEval-2016 Task 6: Detecting Stance in Tweets",
    ),
    "mollas2020ethos": (
        "Mollas, Chrysopoulou, Karlos, Tsoumakas",
        "ETHOS: an Online Hate Speech Detection Dataset",
    ),
    "nie2020anli": (
        "Nie, Williams, Dinan, Bansal, Weston, Kiela",
        "Adversarial NLI: A New Benchmark for Natural Language Understanding",
    ),
    "oraby2016sarcasm": (
        "Oraby, Harrison, Reed, Hernandez, Riloff, Walker",
        "Creating and Characterizing a Diverse Corpus of Sarcasm in Dialogue",
    ),
    "pang2005rt": (
        "Pang, Lee",
        "Seeing Stars: Exploiting Class Relationships for Sentiment Categorization with Respect to Rating Scales",
    ),
    "park2014verifiability": (
        "Park, Cardie",
        "Identifying Appropriate Support for Propositions in Online User Comments",
    ),
    "pilehvar2019wic": (
        "Pilehvar, Camacho-Collados",
        "WiC: the Word-in-Context Dataset for Evaluating Context-Sensitive Meaning Representations",
    ),
    "poliak2018dnc": (
        "Poliak, Haldar, Rudinger, Hu, Pavlick, White, Van Durme",
        "Collecting Diverse Natural Language Inference Problems for Sentence Representation Evaluation",
    ),
    "prasad2008pdtb": (
        "Prasad, Dinesh, Lee, Miltsakaki, Robaldo, Joshi, Webber",
        "The Penn Discourse TreeBank 2.0",
    ),
    "rajpurkar2016squad": (
        "Rajpurkar, Zhang, Lopyrev, Liang",
        "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
    ),
    "rosenthal2017semeval": ("Rosenthal, Farra, Nakov", "SemEval-2017 Task 4: Sentiment Analysis in Twitter"),
    "rudinger2018winogender": (
        "Rudinger, Naradowsky, Leonard, Van Durme",
        "Gender Bias in Coreference Resolution",
    ),
    "saravia2018carer": (
        "Saravia, Liu, Huang, Wu, Chen",
        "CARER: Contextualized Affect Representations for Emotion Recognition",
    ),
    "shriberg2004mrda": (
        "Shriberg, Dhillon, Bhagat, Ang, Carvey",
        "The ICSI Meeting Recorder Dialog Act (MRDA) Corpus",
    ),
    "sileo2019discovery": (
        "Sileo, Van de Cruys, Pradel, Muller",
        "Mining Discourse Markers for Unsupervised Sentence Representation Learning",
    ),
    "sileo2022analysis": ("Sileo, Moens", "Analysis and Prediction of NLP Models via Task Embeddings"),
    "socher2013sst": (
        "Socher, Perelygin, Wu, Chuang, Manning, Ng, Potts",
        "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank",
    ),
    "vajjala2018onestop": (
        "Vajjala, Lu{\\v{c}}i{\\'c}",
        "OneStopEnglish corpus: A new corpus for automatic readability assessment and text simplification",
    ),
    "vanhee2018irony": ("Van Hee, Lefever, Hoste", "SemEval-2018 Task 3: Irony Detection in English Tweets"),
    "vanpelt2012crowdflower": ("Van Pelt, Sorokin", "Designing a scalable crowdsourcing platform"),
    "wang2017liar": (
        "Wang",
        '"Liar, Liar Pants on Fire": A New Benchmark Dataset for Fake News Detection',
    ),
    "wang2019glue": (
        "Wang, Singh, Michael, Hill, Levy, Bowman",
        "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding",
    ),
    "wang2019superglue": (
        "Wang, Pruksachatkun, Nangia, Singh, Michael, Hill, Levy, Bowman",
        "SuperGLUE: A Stickier Benchmark for General-Purpose Language Understanding Systems",
    ),
    "warstadt2019cola": ("Warstadt, Singh, Bowman", "Neural Network Acceptability Judgments"),
    "warstadt2020blimp": (
        "Warstadt, Parrish, Liu, Mohananey, Peng, Wang, Bowman",
        "BLiMP: The Benchmark of Linguistic Minimal Pairs for English",
    ),
    "williams2018mnli": (
        "Williams, Nangia, Bowman",
        "A Broad-Coverage Challenge Corpus for Sentence Understanding through Inference",
    ),
    "zampieri2019offenseval": (
        "Zampieri, Malmasi, Nakov, Rosenthal, Farra, Kumar",
        "SemEval-2019 Task 6: Identifying and Categorizing Offensive Language in Social Media (OffensEval)",
    ),
    "zeldes2017gum": ("Zeldes", "The GUM Corpus: Creating Multilayer Resources in the Classroom"),
    "zhang2015charcnn": ("Zhang, Zhao, LeCun", "Character-level Convolutional Networks for Text Classification"),
    "zhang2019paws": ("Zhang, Baldridge, He", "PAWS: Paraphrase Adversaries from Word Scrambling"),
}


def bibtex(key: str) -> str:
    """Return the reference as a BibTeX entry.

    Raises:
        KeyError: no such reference.
    """
    if key not in REFERENCES:
        raise KeyError(f"no reference {key!r} among {len(REFERENCES)}; add it to metaeval_datasets/citations.py")
    authors, title = REFERENCES[key]
    names = " and ".join(author if author == "others" else f"{{{author}}}" for author in authors.split(", "))
    year = "".join(filter(str.isdigit, key))[:4]
    return f"@misc{{{key},\n  author = {{{names}}},\n  title = {{{{{title}}}}},\n  year = {{{year}}}\n}}"
